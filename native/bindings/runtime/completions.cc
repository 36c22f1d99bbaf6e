#include "bindings/runtime/completions.h"

#include <utility>

#include "bindings/runtime/threadsafe_function.h"

namespace fsq {

std::shared_ptr<Completions> Completions::Of(napi_env env) {
  std::shared_ptr<Completions>& known = DataOf(env).completions;
  if (known) return known;
  auto completions = std::make_shared<Completions>();
  // This does not keep the process alive; the pool work of the lane does.
  completions->function_ = NewThreadsafeFunction(env, "fsq.completions", Call);
  if (completions->function_ == nullptr || !CloseWithEnvironment(env, completions)) return nullptr;
  return known = std::move(completions);
}

void Completions::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  (void)napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

void Completions::Add(std::unique_ptr<PendingTask> completed) {
  const std::lock_guard<std::mutex> lock(mutex_);
  completed_.push_back(std::move(completed));
}

void Completions::Notify() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (notified_ || closed_ || completed_.empty()) return;
  // Under the mutex, so that the function cannot be torn down at the same time. The call never waits.
  notified_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

void Completions::Settle(napi_env env, bool alive) {
  std::vector<std::unique_ptr<PendingTask>> completed;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    completed.swap(completed_);
    notified_ = false;
  }
  napi_handle_scope scope = nullptr;
  if (completed.empty() || napi_open_handle_scope(env, &scope) != napi_ok) return;
  for (const std::unique_ptr<PendingTask>& task : completed) task->Settle(env, alive);
  (void)napi_close_handle_scope(env, scope);
}

void Completions::Call(napi_env env, napi_value, void*, void*) {
  if (env != nullptr && DataOf(env).completions) DataOf(env).completions->Settle(env, true);
}

}  // namespace fsq
