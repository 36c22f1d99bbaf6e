#include "pipe_source.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "failure.h"

namespace fsq {

ssize_t ReadWhatIsThere(int fd, char* buffer, size_t size) {
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
