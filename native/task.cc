#include "task.h"

#include <utility>

namespace fsq {

// Plain Node-API, each status looked at: while a worker thread is terminated, any call may refuse, and the
// C++ wrapper would end the process for it.
class PendingTask {
 public:
  static napi_value Start(napi_env env, std::unique_ptr<Task> task) {
    auto pending = std::make_unique<PendingTask>();
    pending->task_ = std::move(task);
    pending->stopping_ = DataOf(env).stopping;
    napi_value promise = nullptr;
    napi_value name = nullptr;
    if (napi_create_promise(env, &pending->deferred_, &promise) != napi_ok ||
        napi_create_string_utf8(env, "fsq", NAPI_AUTO_LENGTH, &name) != napi_ok ||
        napi_create_async_work(env, nullptr, name, Execute, Complete, pending.get(), &pending->work_) !=
            napi_ok) {
      return nullptr;
    }
    if (napi_queue_async_work(env, pending->work_) != napi_ok) {
      napi_delete_async_work(env, pending->work_);
      return nullptr;
    }
    pending.release();  // Complete takes it back
    return promise;
  }

 private:
  static void Execute(napi_env, void* data) {
    auto* pending = static_cast<PendingTask*>(data);
    // At process.exit the pool is emptied before the process may end; what nobody waits for any more is not
    // begun.
    if (pending->stopping_->load(std::memory_order_relaxed)) return;
    pending->task_->Run();
    pending->ran_ = true;
  }

  static void Complete(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<PendingTask> pending(static_cast<PendingTask*>(data));
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    pending->Settle(env, status);
    pending->task_->kept_.Reset();
    napi_delete_async_work(env, pending->work_);
    napi_close_handle_scope(env, scope);
  }

  void Settle(napi_env env, napi_status status) {
    if (!ran_) return;
    napi_value answer = status == napi_ok ? task_->Answer(env, DataOf(env)) : nullptr;
    if (answer != nullptr && napi_resolve_deferred(env, deferred_, answer) == napi_ok) return;
    napi_value error = nullptr;
    bool thrown = false;
    if (napi_is_exception_pending(env, &thrown) == napi_ok && thrown &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok) {
      napi_reject_deferred(env, deferred_, error);
    }
  }

  std::unique_ptr<Task> task_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  napi_async_work work_ = nullptr;
  napi_deferred deferred_ = nullptr;
  bool ran_ = false;
};

void Task::KeepAlive(Napi::Value value) {
  kept_ = Napi::Reference<Napi::Value>::New(value, 1);
}

AddonData& DataOf(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

Napi::Value RunInPool(Napi::Env env, std::unique_ptr<Task> task) {
  return Napi::Value(env, PendingTask::Start(env, std::move(task)));
}

Napi::Value RunHere(Napi::Env env, Task& task) {
  task.Run();
  return Napi::Value(env, task.Answer(env, DataOf(env)));
}

}  // namespace fsq
