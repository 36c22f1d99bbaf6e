#include "compute.h"

#include <stdio.h>

#include <algorithm>

#include "calls.h"
#include "commands.h"

namespace fsq_floor {
namespace {

volatile uint32_t sink;

}  // namespace

void Compute(uint64_t steps) {
  uint32_t value = 2463534242u;
  for (uint64_t step = 0; step < steps; step++) {
    value ^= value << 13;
    value ^= value >> 17;
    value ^= value << 5;
  }
  sink = value;
}

void Calibrate(long microseconds) {
  constexpr uint64_t kProbe = 100'000;
  constexpr int kProbes = 50;
  // The fastest run: the others were interrupted.
  double best = 1e9;
  for (int probe = 0; probe < kProbes; probe++) {
    const double begin = Now();
    Compute(kProbe);
    best = std::min(best, Now() - begin);
  }
  const double steps = static_cast<double>(kProbe) * static_cast<double>(microseconds) / (best * 1e6);
  printf("{\"steps\": %.0f}\n", steps);
}

}  // namespace fsq_floor
