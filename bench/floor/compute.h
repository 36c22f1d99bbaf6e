// A handler that computes for so long, however often it is interrupted: a fixed number of steps, not a clock.
#pragma once

#include <cstdint>

namespace fsq_floor {

void Compute(uint64_t steps);

}  // namespace fsq_floor
