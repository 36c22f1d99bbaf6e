// Locks on open files.
#pragma once

#include <cstdint>

namespace fsq {

enum class LockKind : int {
  kNone,         // FSQ_LOCK=0: the caller answers for there being one worker
  kFlock,        // flock(2): the standard's
  kDescription,  // fcntl(2) open-file-description locks, for queues with the marker file lock-fcntl
};

// The bytes that a lock of kDescription is on; a length of 0 goes to the end of the file, however far that
// moves. The other kinds lock whole files.
struct LockRange {
  int64_t start = 0;
  int64_t length = 0;
};

// Without waiting: 0 or -1 with errno; EAGAIN for every way of saying 'taken'.
int TryLock(int fd, LockKind kind, bool exclusive = true, LockRange range = {});
int Unlock(int fd, LockKind kind, LockRange range = {});

// How an item is opened for its lock: F_OFD_SETLK wants files that are open for writing.
int AccessFor(LockKind kind);

// Unlocks, then closes. Explicitly, because a fork in another thread may hold a copy of the descriptor until
// its exec, and the lock lives as long as any copy.
void UnlockAndClose(int fd, LockKind kind);

}  // namespace fsq
