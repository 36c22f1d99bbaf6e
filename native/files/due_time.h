// When a delayed item is due: at the time of modification of its file, which lies in the future.
#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace fsq {

// Sets only that time, in milliseconds since the epoch. 0 or -1 with errno.
int SetDue(int fd, int64_t due_ms);

bool IsDelayed(const struct stat& info);

// In milliseconds since the epoch, rounded up: at that millisecond it is past.
int64_t DueOf(const struct stat& info);

}  // namespace fsq
