// What has ended in the lanes of one environment, on its way to the JavaScript thread.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "bindings/runtime/pending_task.h"

namespace fsq {

class Ends {
 public:
  // Null: JavaScript cannot run any more.
  static std::shared_ptr<Ends> Of(napi_env env);

  // These two from any thread. The JavaScript thread hears of what was added when it is told, or looks
  // itself.
  void Add(std::unique_ptr<PendingTask> ended);
  void Tell();

  // The rest on the JavaScript thread.

  // A task has begun that ends here.
  void Expect() { expected_++; }
  // Answers all that has ended. How many are still to end.
  size_t Settle(napi_env env, bool alive);
  // The JavaScript thread looks by itself, at least until then (on the clock of NowNs): it need not be woken.
  void LookOutUntil(int64_t ns) { looked_at_until_ns_.store(ns); }
  // The environment ends: nothing is told any more.
  void Close();

 private:
  static void Call(napi_env env, napi_value, void*, void* data);

  std::mutex mutex_;
  // Guarded by it.
  std::vector<std::unique_ptr<PendingTask>> ended_;
  napi_threadsafe_function function_ = nullptr;
  bool told_ = false;
  bool closed_ = false;

  std::atomic<int64_t> looked_at_until_ns_{0};
  size_t expected_ = 0;
};

}  // namespace fsq
