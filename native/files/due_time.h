// When a delayed item is due: at the mtime of its file, which then lies in the future.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

namespace fsq {

// Sets the mtime, in milliseconds since the epoch. 0 or -1 with errno.
int SetDue(int fd, int64_t due_ms);
// The same for a name, without following a symlink.
int SetDueAt(int directory, const std::string& name, int64_t due_ms);

bool IsDelayed(const struct stat& info);

// Whether the file system has kept the due time that was set a moment ago. CephFS keeps none.
bool KeepsDue(const struct stat& info, int64_t due_ms);

// The clock by which IsDelayed decides, in milliseconds since the epoch.
int64_t DueClockMs();

// Milliseconds since the epoch, rounded up, so that the item is due at that millisecond.
int64_t DueOf(const struct stat& info);

}  // namespace fsq
