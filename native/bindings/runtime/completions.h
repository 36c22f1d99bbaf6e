// The completed tasks of the lanes of one environment, on their way to the JavaScript thread.
#pragma once

#include <node_api.h>

#include <memory>
#include <mutex>
#include <vector>

#include "bindings/runtime/pending_task.h"

namespace fsq {

class Completions {
 public:
  // Null: JavaScript can no longer run.
  static std::shared_ptr<Completions> Of(napi_env env);

  // These two may be called on any thread. The JavaScript thread resolves the added tasks after Notify.
  void Add(std::unique_ptr<PendingTask> completed);
  void Notify();

  // The others are for the JavaScript thread only.

  // Resolves all completed tasks.
  void Settle(napi_env env, bool alive);
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
};

}  // namespace fsq
