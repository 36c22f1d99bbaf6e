#include "calls/failure.h"

namespace fsq {

// An errno of 0 would read as success. No failed call leaves it at 0, but if one did, EIO would be less
// wrong.
int LastError() {
  return errno == 0 ? -EIO : -errno;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string joined;
  joined.reserve(directory.size() + 1 + name.size());
  joined.append(directory).append(1, '/').append(name);
  return joined;
}

}  // namespace fsq
