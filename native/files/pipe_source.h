// Reading sources that deliver bytes over time: pipes, sockets, terminals.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace fsq {

// Reads the bytes that are available now, at most `size`: 0 at the end, -1 with EAGAIN if there are none yet.
// Never waits, so that a silent writer does not block a thread. O_NONBLOCK would do the same, but it would
// affect every process that shares the pipe.
ssize_t ReadWhatIsThere(int fd, char* buffer, size_t size);

}  // namespace fsq
