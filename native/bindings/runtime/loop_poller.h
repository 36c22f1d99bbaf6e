// A poller that is a part of Node's event loop: what happens is heard without another thread between.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "waiting/poller.h"

namespace fsq {

// On the thread of its environment, all of it. Not in Deno and Bun, which have another loop under the same
// names.
class LoopPoller final : public Poller {
 public:
  // `after` is called after each `ready`. Null: there is no such loop, or it ends.
  static std::unique_ptr<LoopPoller> Of(napi_env env, std::function<void()> after);

  ~LoopPoller() override;

  Failure Add(int descriptor) override;
  void Remove(int descriptor) override;
  // Else each event would wake a loop that is busy with something else. It is woken once more, as stopping
  // takes system calls, and most often somebody waits again before anything happens.
  void SetAwaited(bool awaited) override;
  void Rest() override {}

 private:
  class Entry;
  // The descriptors of this environment that its loop still knows of. It outlives the poller.
  struct Known;

  LoopPoller(std::shared_ptr<Known> known, std::function<void()> after);

  const std::shared_ptr<Known> known_;
  const std::function<void()> after_;
  std::unordered_map<int, Entry*> entries_;
  bool awaited_ = false;
};

}  // namespace fsq
