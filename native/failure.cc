#include "failure.h"

#include <utility>

namespace fsq {

Failure Failure::FromErrno(const char* syscall, std::string path, std::string dest) {
  // An errno of 0 would read as success; no call that failed leaves it so, but a value that lies is worse
  // than EIO.
  const int error = errno == 0 ? -EIO : -errno;
  return Failure{error, syscall, std::move(path), std::move(dest)};
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string joined;
  joined.reserve(directory.size() + 1 + name.size());
  joined.append(directory).append(1, '/').append(name);
  return joined;
}

}  // namespace fsq
