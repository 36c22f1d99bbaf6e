#include "files/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "calls/failure.h"
#include "calls/fault_point.h"
#include "platform/platform.h"

namespace fsq {

int TryLock(int fd, LockKind kind, bool exclusive, LockRange range) {
  int result = 0;
  switch (kind) {
    case LockKind::kNone:
      return 0;
    case LockKind::kFlock:
      result = RetryInterrupted(::flock, fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
      break;
    case LockKind::kDescription:
      result = platform::LockDescription(fd, exclusive, range.start, range.length);
      break;
  }
  if (result == -1 && (errno == EWOULDBLOCK || errno == EACCES || errno == EBUSY)) errno = EAGAIN;
  return result;
}

int AccessFor(LockKind kind) {
  return kind == LockKind::kDescription ? O_RDWR : O_RDONLY;
}

int Unlock(int fd, LockKind kind, LockRange range) {
  switch (kind) {
    case LockKind::kFlock:
      return RetryInterrupted(::flock, fd, LOCK_UN);
    case LockKind::kDescription:
      return platform::UnlockDescription(fd, range.start, range.length);
    case LockKind::kNone:
      return 0;
  }
  return 0;
}

void UnlockAndClose(int fd, LockKind kind) {
  // Nothing can be done about a failed unlock, and nothing needs to be: the close that follows drops the
  // lock, too.
  (void)FSQ_CALL("claim.unlock", Unlock(fd, kind));
  ::close(fd);
}

}  // namespace fsq
