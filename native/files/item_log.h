// The log of an item (section 10 of the standard): lines, each appended by one write(2) under the lock of the
// file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "calls/failure.h"
#include "files/file_lock.h"

namespace fsq {

// How a log is locked, and the mode and owner that a new one gets.
struct LogForm {
  static constexpr int64_t kLeave = -1;

  LockKind lock = LockKind::kFlock;
  mode_t mode = 0640;
  int64_t user = kLeave;   // uid
  int64_t group = kLeave;  // gid
};

struct LogAppend {
  std::string path;
  std::string line;  // with its newline
  LogForm form;

  Failure failure;   // out. The log may have the line, or a part of it.
  int64_t size = 0;  // out: of the log
};

// Makes the log if there is none. ENOENT: its directory is missing.
void AppendToLog(LogAppend& append);

}  // namespace fsq
