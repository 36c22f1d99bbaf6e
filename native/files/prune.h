// Removes the old files of a directory, a part of its entries at a time, so that the caller can pause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"

namespace fsq {

// Which files go. Times are those of their last change, in microseconds since the epoch.
struct PruneLimits {
  // All that changed before this.
  int64_t before_us = 0;
  // And so many of those that changed at exactly that time.
  size_t equals = 0;
};

struct Pruned {
  // Whether the directory has no entries behind these. The next call begins again with the first one.
  bool is_over = false;
  std::vector<std::string> removed;
  // Of how many files `removed` has the names.
  size_t count = 0;
  // How many of them changed at exactly `before_us`.
  size_t equals = 0;
  // Old files with several names, which stay.
  std::vector<std::string> linked;
  // The first failure. The other files were looked at all the same.
  Failure failure;
};

// `directory`: a descriptor that only these two functions read from. Each call reads its next entries: on
// Linux about 1,500 of them, elsewhere all. Entries that are no regular files stay.

// `named`: whether `removed` is wanted.
Pruned PruneNext(int directory, const PruneLimits& limits, bool named, Stopping stopping);

// When the next files changed, in any order. `is_over` as above.
std::vector<double> ChangesNext(int directory, bool* is_over, Stopping stopping, Failure* failure);

}  // namespace fsq
