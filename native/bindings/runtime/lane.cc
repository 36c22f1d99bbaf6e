#include "bindings/runtime/lane.h"

#include <sched.h>

#include <utility>

#include "bindings/runtime/ends.h"
#include "bindings/runtime/pool_work.h"
#include "calls/clock.h"

namespace fsq {
namespace {

// So long the thread looks out for the next task, if the last ones came as quickly.
constexpr int64_t kLookoutNs = 50'000;
// Giving way took longer: others need the processor more.
constexpr int64_t kCrowdedNs = 10'000;
// After so long others have their turn in the pool.
constexpr int64_t kShiftNs = 10'000'000;

}  // namespace

// One stay in the pool.
struct Lane::Shift {
  std::shared_ptr<Lane> lane;
  napi_async_work work = nullptr;
  bool cut = false;  // others have their turn, though there is more to do
};

std::shared_ptr<Lane> Lane::Of(napi_env env) {
  std::shared_ptr<Ends> ends = Ends::Of(env);
  return ends ? std::make_shared<Lane>(std::move(ends)) : nullptr;
}

napi_value Lane::Run(napi_env env, std::unique_ptr<Task> task) {
  napi_value promise = nullptr;
  std::unique_ptr<PendingTask> pending = PendingTask::Of(env, std::move(task), &promise);
  if (!pending) return nullptr;
  ends_->Expect();
  bool idle = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(pending));
    waiting_count_.store(waiting_.size());
    idle = !std::exchange(working_, true);
    brisk_.store(!idle || NowNs() - ended_ns_ < kLookoutNs, std::memory_order_relaxed);
  }
  if (!idle || StartShift(env)) return promise;
  return nullptr;
}

bool Lane::StartShift(napi_env env) {
  auto shift = std::make_unique<Shift>();
  shift->lane = shared_from_this();
  shift->work = QueueWork(env, "fsq.lane", Execute, Complete, shift.get());
  if (shift->work == nullptr) return false;
  (void)shift.release();  // Complete takes it back
  return true;
}

void Lane::Execute(napi_env, void* data) {
  auto* const shift = static_cast<Shift*>(data);
  shift->cut = shift->lane->Work();
}

// Whether there may be more to do.
bool Lane::Work() {
  const int64_t begun = NowNs();
  bool told = true;
  for (;;) {
    std::unique_ptr<PendingTask> task = Next();
    if (!task) return false;
    if (!told) ends_->Tell();
    task->Run();
    ends_->Add(std::move(task));
    const bool more = waiting_count_.load() > 0;
    // Of what may have been the last, Complete tells.
    told = more || brisk_.load(std::memory_order_relaxed);
    if (told) ends_->Tell();
    // Where both have the same processor, the other thread would have to wait for the end of this one's time
    // slice.
    if (more) ::sched_yield();
    if (more && NowNs() - begun > kShiftNs) return true;
  }
}

// None: there is nothing to do, and the shift is over.
std::unique_ptr<PendingTask> Lane::Next() {
  for (;;) {
    if (waiting_count_.load() == 0 && MoreComes()) continue;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (waiting_.empty()) {
      working_ = false;
      ended_ns_ = NowNs();
      return nullptr;
    }
    std::unique_ptr<PendingTask> next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_count_.store(waiting_.size());
    return next;
  }
}

// Looks out for a moment.
bool Lane::MoreComes() const {
  if (!brisk_.load(std::memory_order_relaxed)) return false;
  const int64_t begun = NowNs();
  for (int64_t now = begun; now - begun < kLookoutNs;) {
    if (waiting_count_.load() > 0) return true;
    ::sched_yield();
    const int64_t after = NowNs();
    if (after - now > kCrowdedNs) return waiting_count_.load() > 0;
    now = after;
  }
  return false;
}

void Lane::Complete(napi_env env, napi_status status, void* data) {
  const std::unique_ptr<Shift> shift(static_cast<Shift*>(data));
  Lane& lane = *shift->lane;
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  (void)lane.ends_->Settle(env, status == napi_ok);
  (void)napi_delete_async_work(env, shift->work);
  // Where that fails, JavaScript cannot run any more, and nobody waits for the rest.
  if (shift->cut) (void)lane.StartShift(env);
  (void)napi_close_handle_scope(env, scope);
}

}  // namespace fsq
