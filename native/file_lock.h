// The lock that is a claim.
#pragma once

namespace fsq {

enum class LockKind : int {
  kNone,         // FSQ_LOCK=0: the caller answers for there being one worker
  kFlock,        // flock(2): the standard's
  kDescription,  // fcntl(2) open-file-description locks, for queues with the marker file lock-fcntl
};

// Exclusive, without waiting: 0 or -1 with errno; EAGAIN for every way of saying 'taken'.
int TryLock(int fd, LockKind kind, bool exclusive = true);
int Unlock(int fd, LockKind kind);

// Unlocks, then closes. Explicitly, because a fork in another thread may hold a copy of the descriptor until
// its exec, and the lock lives as long as any copy.
void UnlockAndClose(int fd, LockKind kind);

}  // namespace fsq
