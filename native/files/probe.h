// What the file system of a directory can do, found out by doing it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calls/failure.h"

namespace fsq {

struct Feature {
  // The call said that it worked, and it had no effect.
  static constexpr int kNoEffect = 1;

  const char* name;
  int error = 0;  // a negative errno, or kNoEffect; 0: it works
};

struct ProbeResult {
  std::vector<Feature> features;
  int64_t timestamp_step_ns = 0;  // how finely times are kept
  long name_max = 0;              // bytes of a file name; 0: unknown
  dev_t device = 0;
};

// Tries each feature in `path`, an empty directory of the caller's, who removes it with all that is in it.
// Fails where the reason is not the file system but the moment (a full disk, no descriptors left).
Failure Probe(const std::string& path, ProbeResult* result);

}  // namespace fsq
