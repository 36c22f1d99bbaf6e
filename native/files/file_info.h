// Which file stat(2) describes.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "calls/failure.h"
#include "platform/platform.h"

namespace fsq {

// Two names with the same id are names of the same file.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileId&) const = default;
};

inline FileId IdOf(const struct stat& info) {
  return {info.st_dev, info.st_ino};
}

// The change time in microseconds: a reading of the clock of the file system.
inline int64_t ChangedUs(const struct stat& info) {
  const timespec& changed = platform::ChangedAt(info);
  return int64_t{changed.tv_sec} * 1'000'000 + changed.tv_nsec / 1000;
}

// fstatat(2) that does not follow a symlink.
inline int LookAt(int directory, const std::string& name, struct stat* info) {
  return RetryInterrupted(::fstatat, directory, name.c_str(), info, AT_SYMLINK_NOFOLLOW);
}

}  // namespace fsq
