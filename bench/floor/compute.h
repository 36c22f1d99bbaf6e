// A handler that computes a fixed number of steps rather than for a fixed time, so that interruptions do not
// reduce its work.
#pragma once

#include <cstdint>

namespace fsq_floor {

void Compute(uint64_t steps);

}  // namespace fsq_floor
