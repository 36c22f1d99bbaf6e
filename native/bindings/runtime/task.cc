#include "bindings/runtime/task.h"

#include <utility>

#include "bindings/runtime/lane.h"
#include "bindings/runtime/pending_task.h"
#include "bindings/runtime/pool_work.h"

namespace fsq {
namespace {

// A task that is pool work of its own.
class PoolWork {
 public:
  static napi_value Start(napi_env env, std::unique_ptr<Task> task) {
    napi_value promise = nullptr;
    auto work = std::make_unique<PoolWork>();
    work->pending_ = PendingTask::Of(env, std::move(task), &promise);
    if (!work->pending_) return nullptr;
    work->work_ = QueueWork(env, "fsq", Execute, Complete, work.get());
    if (work->work_ == nullptr) return nullptr;
    (void)work.release();  // Complete takes it back
    return promise;
  }

 private:
  static void Execute(napi_env, void* data) { static_cast<PoolWork*>(data)->pending_->Run(); }

  static void Complete(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<PoolWork> work(static_cast<PoolWork*>(data));
    napi_handle_scope scope = nullptr;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    work->pending_->Settle(env, status == napi_ok);
    (void)napi_delete_async_work(env, work->work_);
    (void)napi_close_handle_scope(env, scope);
  }

  std::unique_ptr<PendingTask> pending_;
  napi_async_work work_ = nullptr;
};

}  // namespace

void PendingTask::Settle(napi_env env, bool alive) {
  if (ran_) {
    napi_value answer = alive ? task_->Answer(env, DataOf(env)) : nullptr;
    if (answer == nullptr || napi_resolve_deferred(env, deferred_, answer) != napi_ok) {
      napi_value error = nullptr;
      bool thrown = false;
      if (napi_is_exception_pending(env, &thrown) == napi_ok && thrown &&
          napi_get_and_clear_last_exception(env, &error) == napi_ok) {
        (void)napi_reject_deferred(env, deferred_, error);
      }
    }
  }
  task_->ReleaseValue();
}

AddonData& DataOf(napi_env env) {
  void* data = nullptr;
  // This cannot fail: without data the addon exports no functions. See addon.cc.
  (void)napi_get_instance_data(env, &data);
  return *static_cast<AddonData*>(data);
}

napi_value RunInPool(napi_env env, std::unique_ptr<Task> task) {
  return PoolWork::Start(env, std::move(task));
}

napi_value RunInLane(napi_env env, std::shared_ptr<Lane>& lane, std::unique_ptr<Task> task) {
  if (!lane) lane = Lane::Of(env);
  return lane ? lane->Run(env, std::move(task)) : nullptr;
}

napi_value RunHere(napi_env env, Task& task) {
  task.RunTimed();
  return task.Answer(env, DataOf(env));
}

}  // namespace fsq
