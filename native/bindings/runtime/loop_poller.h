// A poller that is part of Node's event loop: events arrive without another thread in between.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "waiting/poller.h"

namespace fsq {

// All calls are made on the thread of its environment. Not for Deno and Bun, which have other loops behind
// the same function names.
class LoopPoller final : public Poller {
 public:
  // `after` is called after each `ready`. Null: the environment has no such loop, or is ending.
  static std::unique_ptr<LoopPoller> Of(napi_env env, std::function<void()> after);

  ~LoopPoller() override;

  Failure Add(int descriptor) override;
  void Remove(int descriptor) override;
  // While not awaited, an event must not wake a loop that is busy with other work. It does wake it once,
  // because stopping a descriptor takes system calls and the next wait usually begins before any event.
  void SetAwaited(bool awaited) override;
  void Rest() override {}

 private:
  class Entry;
  // The descriptors of this environment that its loop still uses. It outlives the poller.
  struct Known;

  LoopPoller(std::shared_ptr<Known> known, std::function<void()> after);

  const std::shared_ptr<Known> known_;
  const std::function<void()> after_;
  std::unordered_map<int, Entry*> entries_;
  bool awaited_ = false;
};

}  // namespace fsq
