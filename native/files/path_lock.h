// A lock on the file that a path names.
#pragma once

#include <string>

#include "calls/failure.h"
#include "files/claimed_descriptor.h"
#include "files/file_lock.h"

namespace fsq {

struct PathLockRequest {
  std::string path;
  LockKind kind = LockKind::kFlock;
  bool exclusive = true;
  LockRange range;
  bool create = true;  // creates a missing file
};

struct PathLock {
  ClaimedDescriptor held;
  Failure failure;          // EAGAIN: another holder has the lock
  bool not_a_file = false;  // the path names neither a regular file nor a directory, and was not opened
};

// Opens the file at the path and locks it, without waiting. On success the path names the locked file.
PathLock LockPath(const PathLockRequest& request);

}  // namespace fsq
