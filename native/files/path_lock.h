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
  bool create = true;  // makes the file where there is none
};

struct PathLock {
  ClaimedDescriptor held;
  Failure failure;          // EAGAIN: taken
  bool not_a_file = false;  // what is there is neither a regular file nor a directory, and was not opened
};

// Opens what the path names and locks it, without waiting. What is locked is what the path names afterwards.
PathLock LockPath(const PathLockRequest& request);

}  // namespace fsq
