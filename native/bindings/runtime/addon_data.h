// Everything that one JavaScript environment (the main thread, or a worker thread) owns.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "files/claimed_descriptor.h"
#include "queue/item_file.h"
#include "queue/worker_directory.h"

namespace fsq {

class Completions;
class Lane;
class WakeUps;

// Destroyed with its environment, so that a terminated worker thread unlocks and closes all that it had
// claimed; the kernel does this only for a process. Only the environment's own thread uses it, except for
// `stopping`.
class AddonData {
 public:
  // JavaScript refers to a claim by a number that is never reused. Not by its descriptor: JavaScript can
  // borrow that and close it, and the next claim would then get the same number.
  using ClaimId = int64_t;
  struct HeldClaim {
    ClaimedDescriptor descriptor;
    std::string name;                           // of an item: its name in its directory
    std::shared_ptr<QueueDirectory> directory;  // kept open for the finish of the claim
    // Of an item that was claimed by renaming it: the directory that it is in.
    std::shared_ptr<WorkerDirectory> holder = nullptr;
  };
  std::unordered_map<ClaimId, HeldClaim> claims;

  ClaimId NewClaimId() { return next_claim_++; }

  void Hold(ClaimId id, HeldClaim claim) {
    if (claim.holder) {
      claims.insert_or_assign(id, std::move(claim));
      return;
    }
    const auto [earlier, added] = by_descriptor_.try_emplace(claim.descriptor.get(), id);
    if (!added && earlier->second != id) {
      // The kernel gave the descriptor's number to this claim, so the earlier one has lost it.
      if (const auto lost = claims.find(earlier->second); lost != claims.end())
        lost->second.descriptor.Forget();
      earlier->second = id;
    }
    claims.insert_or_assign(id, std::move(claim));
  }

  // Empty if there is no such claim.
  HeldClaim Take(ClaimId id) {
    const auto held = claims.find(id);
    if (held == claims.end()) return {};
    HeldClaim claim = std::move(held->second);
    claims.erase(held);
    if (claim.holder) return claim;
    const auto known = by_descriptor_.find(claim.descriptor.get());
    if (known != by_descriptor_.end() && known->second == id) by_descriptor_.erase(known);
    return claim;
  }

  // Null if there is no such claim.
  const HeldClaim* FindClaim(ClaimId id) const {
    const auto held = claims.find(id);
    return held == claims.end() ? nullptr : &held->second;
  }
  ClaimedDescriptor* Find(ClaimId id) {
    const auto held = claims.find(id);
    return held == claims.end() ? nullptr : &held->second.descriptor;
  }

  // JavaScript learns the number of the descriptor, and closes it by TakeLent.
  void LendDescriptor(ClaimedDescriptor descriptor) {
    ClaimedDescriptor& kept = lent_[descriptor.get()];
    kept.Forget();  // other code has closed it, as the kernel gave its number to this descriptor
    kept = std::move(descriptor);
  }

  // Not valid if there is no such descriptor.
  ClaimedDescriptor TakeLent(int fd) {
    const auto known = lent_.find(fd);
    if (known == lent_.end()) return {};
    ClaimedDescriptor descriptor = std::move(known->second);
    lent_.erase(known);
    return descriptor;
  }

  void Watch(const std::shared_ptr<Draft>& draft) {
    drafts_.erase(std::remove_if(drafts_.begin(), drafts_.end(),
                                 [](const std::weak_ptr<Draft>& known) { return known.expired(); }),
                  drafts_.end());
    drafts_.push_back(draft);
  }

  // A process that exits runs no destructors, and the kernel closes descriptors but does not remove names in
  // tmp/.
  void AbandonDrafts() {
    for (const std::weak_ptr<Draft>& known : drafts_) {
      if (const std::shared_ptr<Draft> draft = known.lock()) draft->Abandon();
    }
  }

  // Delivers the events of watches to this environment. Created with the first watch.
  std::shared_ptr<WakeUps> wake_ups;

  // The completed tasks of lanes. Created with the first lane.
  std::shared_ptr<Completions> completions;

  // The lanes that write large contents, for all queues. Fewer than the threads of Node's pool (4, unless
  // UV_THREADPOOL_SIZE says otherwise), so that small items need not wait for large ones. Each is created
  // with its first task.
  static constexpr size_t kWriters = 3;
  std::array<std::shared_ptr<Lane>, kWriters> writers;

  // Set when the process wants to exit: queued work is dropped, and long copies give up. Shared with running
  // tasks.
  std::shared_ptr<std::atomic<bool>> stopping = std::make_shared<std::atomic<bool>>(false);

 private:
  std::unordered_map<int, ClaimId> by_descriptor_;
  // JavaScript does not close them by node:fs: in a worker thread, that knows only the descriptors that it
  // has opened. It warns of others, and does not close them when the thread is terminated.
  std::unordered_map<int, ClaimedDescriptor> lent_;
  std::vector<std::weak_ptr<Draft>> drafts_;
  ClaimId next_claim_ = 1;
};

}  // namespace fsq
