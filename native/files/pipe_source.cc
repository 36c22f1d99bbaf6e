#include "files/pipe_source.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "calls/failure.h"
#include "platform/platform.h"

namespace fsq {

ssize_t ReadWhatIsThere(int fd, char* buffer, size_t size) {
  const ssize_t got = platform::ReadWithoutWaiting(fd, buffer, size);
  if (got != -1 || errno != ENOTSUP) return got;
  // Another reader can be faster between the two calls, and then the second one waits.
  pollfd waiting{fd, POLLIN, 0};
  const int ready = RetryInterrupted(::poll, &waiting, nfds_t{1}, 0);
  if (ready == -1) return -1;
  if (ready == 0) {
    errno = EAGAIN;
    return -1;
  }
  // Also for what poll calls bad: read says why.
  return RetryInterrupted(::read, fd, buffer, size);
}

}  // namespace fsq
