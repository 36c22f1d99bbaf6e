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
  // Another reader may take the bytes between poll and read. The read then waits.
  pollfd waiting{fd, POLLIN, 0};
  const int ready = RetryInterrupted(::poll, &waiting, nfds_t{1}, 0);
  if (ready == -1) return -1;
  if (ready == 0) {
    errno = EAGAIN;
    return -1;
  }
  // Also if poll reports an error: read then returns its errno.
  return RetryInterrupted(::read, fd, buffer, size);
}

}  // namespace fsq
