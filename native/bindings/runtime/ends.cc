#include "bindings/runtime/ends.h"

#include <utility>

#include "bindings/runtime/threadsafe_function.h"
#include "calls/clock.h"

namespace fsq {

std::shared_ptr<Ends> Ends::Of(napi_env env) {
  std::shared_ptr<Ends>& known = DataOf(env).ends;
  if (known) return known;
  auto ends = std::make_shared<Ends>();
  // This does not keep the process alive; the pool work of the lane does.
  ends->function_ = NewThreadsafeFunction(env, "fsq.ends", Call);
  if (ends->function_ == nullptr || !CloseWithEnvironment(env, ends)) return nullptr;
  return known = std::move(ends);
}

void Ends::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
  (void)napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

void Ends::Add(std::unique_ptr<PendingTask> ended) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_.push_back(std::move(ended));
}

void Ends::Tell() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (told_ || closed_ || ended_.empty() || NowNs() < looked_at_until_ns_.load()) return;
  // Under the mutex, so that the function cannot be torn down at the same time. The call never waits.
  told_ = napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking) == napi_ok;
}

size_t Ends::Settle(napi_env env, bool alive) {
  std::vector<std::unique_ptr<PendingTask>> ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended.swap(ended_);
    told_ = false;
  }
  expected_ -= ended.size();
  napi_handle_scope scope = nullptr;
  if (ended.empty() || napi_open_handle_scope(env, &scope) != napi_ok) return expected_;
  for (const std::unique_ptr<PendingTask>& task : ended) task->Settle(env, alive);
  (void)napi_close_handle_scope(env, scope);
  return expected_;
}

void Ends::Call(napi_env env, napi_value, void*, void*) {
  if (env != nullptr && DataOf(env).ends) DataOf(env).ends->Settle(env, true);
}

}  // namespace fsq
