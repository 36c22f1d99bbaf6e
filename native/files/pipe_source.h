// Reading what comes bit by bit: pipes, sockets, terminals.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace fsq {

// What is there now, at most `size` bytes: 0 at the end, -1 with EAGAIN where there is nothing yet. Never
// waits, so that a silent writer holds no thread; O_NONBLOCK, which would do it, belongs to everybody who has
// the pipe.
ssize_t ReadWhatIsThere(int fd, char* buffer, size_t size);

}  // namespace fsq
