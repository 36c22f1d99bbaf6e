// What one JavaScript environment (the main thread, or one worker thread) owns.
#pragma once

#include <atomic>
#include <memory>
#include <unordered_map>
#include <utility>

#include "claimed_descriptor.h"

namespace fsq {

// Destroyed with its environment: a worker thread that is terminated unlocks and closes all that it had
// claimed, which the kernel does for a process only. Touched by the environment's own thread only, but for
// `stopping`.
struct AddonData {
  // Claims that JavaScript holds, by the number of their descriptor.
  std::unordered_map<int, ClaimedDescriptor> claims;

  void Hold(ClaimedDescriptor claim) {
    const int fd = claim.get();
    const auto [held, added] = claims.try_emplace(fd);
    // Somebody closed the descriptor of an earlier claim, and its number has come again.
    if (!added) held->second.Forget();
    held->second = std::move(claim);
  }

  // The process wants to exit: work that is still queued is dropped, a long copy gives up. Shared with
  // running tasks.
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace fsq
