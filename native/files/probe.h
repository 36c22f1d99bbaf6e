// Finds out what the file system of a directory can do, by trying it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calls/failure.h"

namespace fsq {

struct Feature {
  // The call reported success but had no effect.
  static constexpr int kNoEffect = 1;

  const char* name;
  int error = 0;  // a negative errno, or kNoEffect; 0: it works
};

struct ProbeResult {
  std::vector<Feature> features;
  int64_t timestamp_step_ns = 0;  // the resolution of file times
  long name_max = 0;              // bytes of a file name; 0: unknown
  dev_t device = 0;
};

// Tries each feature in `path`, an empty directory that belongs to the caller, who removes it with all its
// contents. Fails if the reason is temporary rather than the file system (a full disk, no descriptors left).
Failure Probe(const std::string& path, ProbeResult* result);

}  // namespace fsq
