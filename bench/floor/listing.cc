#include "listing.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "calls.h"

namespace fsq_floor {

// _TIMESTAMP_ENTROPY_...
Listing::Listing(int directory) {
  DIR* const stream = ::fdopendir(Check(::dup(directory), "dup"));
  if (stream == nullptr) Die("fdopendir");
  ::rewinddir(stream);
  for (;;) {
    errno = 0;
    const dirent* const record = ::readdir(stream);
    if (record == nullptr) break;
    if (record->d_name[0] != '_') continue;
    char* end = nullptr;
    const uint64_t timestamp = strtoull(record->d_name + 1, &end, 10);
    const uint64_t entropy = strtoull(end + 1, nullptr, 10);
    entries_.push_back({timestamp, entropy, arena_.size()});
    arena_.append(record->d_name, strlen(record->d_name) + 1);
  }
  if (errno != 0) Die("readdir");
  ::closedir(stream);
  std::sort(entries_.begin(), entries_.end(), [](const Entry& left, const Entry& right) {
    return left.timestamp != right.timestamp ? left.timestamp < right.timestamp
                                             : left.entropy < right.entropy;
  });
}

}  // namespace fsq_floor
