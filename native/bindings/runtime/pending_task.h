// A task and the promise that JavaScript has for its answer.
#pragma once

#include <node_api.h>

#include <atomic>
#include <memory>
#include <utility>

#include "bindings/runtime/task.h"

namespace fsq {

class PendingTask {
 public:
  // Null: JavaScript cannot run any more.
  static std::unique_ptr<PendingTask> Of(napi_env env, std::unique_ptr<Task> task, napi_value* promise) {
    auto pending = std::make_unique<PendingTask>(std::move(task), DataOf(env).stopping);
    if (napi_create_promise(env, &pending->deferred_, promise) != napi_ok) return nullptr;
    return pending;
  }

  PendingTask(std::unique_ptr<Task> task, std::shared_ptr<std::atomic<bool>> stopping)
      : task_(std::move(task)), stopping_(std::move(stopping)) {}

  // Not on the JavaScript thread.
  void Run() {
    // At process.exit the pool is emptied before the process may end; what nobody waits for any more is not
    // begun.
    if (stopping()) return;
    task_->Run();
    ran_ = true;
  }

  bool stopping() const { return stopping_->load(std::memory_order_relaxed); }

  // On the JavaScript thread, once; `alive`: it may still be answered.
  void Settle(napi_env env, bool alive);

 private:
  std::unique_ptr<Task> task_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  napi_deferred deferred_ = nullptr;
  bool ran_ = false;
};

}  // namespace fsq
