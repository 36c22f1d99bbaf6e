// A task, with the promise for its answer.
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>
#include <utility>

#include "bindings/runtime/task.h"

namespace fsq {

class PendingTask {
 public:
  // Null: JavaScript can no longer run.
  static std::unique_ptr<PendingTask> Of(napi_env env, std::unique_ptr<Task> task, napi_value* promise) {
    auto pending = std::make_unique<PendingTask>(std::move(task), DataOf(env).stopping);
    if (napi_create_promise(env, &pending->deferred_, promise) != napi_ok) return nullptr;
    return pending;
  }

  PendingTask(std::unique_ptr<Task> task, std::shared_ptr<std::atomic<bool>> stopping)
      : task_(std::move(task)), stopping_(std::move(stopping)) {}

  // Not on the JavaScript thread.
  void Run() {
    // At process.exit the pool must be emptied before the process can end. Tasks that nothing waits for any
    // more are not begun.
    if (stopping()) return;
    task_->RunTimed();
    ran_ = true;
  }

  bool goes_first() const { return task_->goes_first(); }
  bool stopping() const { return stopping_->load(std::memory_order_relaxed); }

  // Call it once, on the JavaScript thread. `alive`: the promise may still be resolved.
  void Settle(napi_env env, bool alive);

 private:
  std::unique_ptr<Task> task_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  napi_deferred deferred_ = nullptr;
  bool ran_ = false;
};

}  // namespace fsq
