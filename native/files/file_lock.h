// Locks on open files.
#pragma once

#include <cstdint>

namespace fsq {

enum class LockKind : int {
  kNone,         // FSQ_LOCK=0: the caller guarantees that there is only one worker
  kFlock,        // flock(2), the lock of the standard
  kDescription,  // fcntl(2) open-file-description locks, for queues with the marker file lock-fcntl
};

// The byte range of a kDescription lock; a length of 0 reaches to the end of the file, even as the file
// grows. The other kinds lock whole files.
struct LockRange {
  int64_t start = 0;
  int64_t length = 0;
};

// Never waits. 0 or -1 with errno; EAGAIN whenever another holder has the lock.
int TryLock(int fd, LockKind kind, bool exclusive = true, LockRange range = {});
int Unlock(int fd, LockKind kind, LockRange range = {});

// The access mode for opening an item to lock it: F_OFD_SETLK requires a file that is open for writing.
int AccessFor(LockKind kind);

// Unlocks, then closes. The explicit unlock matters: a fork in another thread may hold a copy of the
// descriptor until its exec, and the lock lives as long as any copy.
void UnlockAndClose(int fd, LockKind kind);

}  // namespace fsq
