// The completed tasks of the lanes of one environment, on their way to the JavaScript thread.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "bindings/runtime/pending_task.h"

namespace fsq {

class Completions {
 public:
  // Null: JavaScript can no longer run.
  static std::shared_ptr<Completions> Of(napi_env env);

  // These two may be called on any thread. The JavaScript thread resolves the added tasks after Notify, or
  // when it polls.
  void Add(std::unique_ptr<PendingTask> completed);
  void Notify();

  // The others are for the JavaScript thread only.

  // A task has begun that will complete here.
  void Expect() { expected_++; }
  // Resolves all completed tasks. Returns how many are still in flight.
  size_t Settle(napi_env env, bool alive);
  // The JavaScript thread polls by itself until then (on the clock of NowNs), so it need not be woken.
  void ExpectPollsUntil(int64_t ns) { polled_until_ns_.store(ns); }
  // The environment is ending: Notify does nothing from now on.
  void Close();

 private:
  static void Call(napi_env env, napi_value, void*, void* data);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<PendingTask>> completed_;
  napi_threadsafe_function function_ = nullptr;
  bool notified_ = false;
  bool closed_ = false;

  std::atomic<int64_t> polled_until_ns_{0};
  size_t expected_ = 0;
};

}  // namespace fsq
