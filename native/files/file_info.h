// What stat(2) says of a file: which one it is.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "calls/failure.h"

namespace fsq {

// Two names with one id are names of one file.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileId&) const = default;
};

inline FileId IdOf(const struct stat& info) {
  return {info.st_dev, info.st_ino};
}

// fstatat(2) of the name itself, not of what it links to.
inline int LookAt(int directory, const std::string& name, struct stat* info) {
  return RetryInterrupted(::fstatat, directory, name.c_str(), info, AT_SYMLINK_NOFOLLOW);
}

}  // namespace fsq
