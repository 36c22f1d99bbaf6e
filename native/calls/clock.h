// Measuring how long something takes.
#pragma once

#include <time.h>

#include <cstdint>

namespace fsq {

// Nanoseconds on a clock that never steps back.
inline int64_t NowNs() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline int64_t NowMs() {
  return NowNs() / 1'000'000;
}

}  // namespace fsq
