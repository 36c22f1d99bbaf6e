#include "bindings/runtime/lane.h"

#include <sched.h>

#include <utility>

#include "bindings/runtime/completions.h"
#include "bindings/runtime/pool_work.h"
#include "calls/clock.h"

namespace fsq {
namespace {

// How long the thread spins for the next task, if the last ones came that quickly.
constexpr int64_t kSpinNs = 50'000;
// If a sched_yield takes longer than this, other threads need the processor more.
constexpr int64_t kCrowdedNs = 10'000;
// After this long, the lane gives up its place in the pool.
constexpr int64_t kShiftNs = 10'000'000;

}  // namespace

// One stay of a lane in the pool.
struct Lane::Shift {
  std::shared_ptr<Lane> lane;
  napi_async_work work = nullptr;
  bool cut = false;  // gives way to others, though tasks are still waiting
};

std::shared_ptr<Lane> Lane::Of(napi_env env) {
  std::shared_ptr<Completions> completions = Completions::Of(env);
  return completions ? std::make_shared<Lane>(std::move(completions)) : nullptr;
}

napi_value Lane::Run(napi_env env, std::unique_ptr<Task> task) {
  napi_value promise = nullptr;
  std::unique_ptr<PendingTask> pending = PendingTask::Of(env, std::move(task), &promise);
  if (!pending) return nullptr;
  bool idle = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (pending->goes_first()) {
      waiting_.push_front(std::move(pending));
    } else {
      waiting_.push_back(std::move(pending));
    }
    waiting_count_.store(waiting_.size());
    idle = !std::exchange(working_, true);
    brisk_.store(!idle || NowNs() - ended_ns_ < kSpinNs, std::memory_order_relaxed);
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

// True: the shift was cut, and tasks are still waiting.
bool Lane::Work() {
  const int64_t begun = NowNs();
  bool notified = true;
  for (;;) {
    std::unique_ptr<PendingTask> task = Next();
    if (!task) return false;
    if (!notified) completions_->Notify();
    task->Run();
    completions_->Add(std::move(task));
    const bool more = waiting_count_.load() > 0;
    // If this may be the last task, Complete reports it.
    notified = more || brisk_.load(std::memory_order_relaxed);
    if (notified) completions_->Notify();
    // If both threads share a processor, the other one would have to wait for the end of this thread's time
    // slice.
    if (more) ::sched_yield();
    if (more && NowNs() - begun > kShiftNs) return true;
  }
}

// Null: no task is waiting, and the shift is over.
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

// Spins for the next task.
bool Lane::MoreComes() const {
  if (!brisk_.load(std::memory_order_relaxed)) return false;
  const int64_t begun = NowNs();
  for (int64_t now = begun; now - begun < kSpinNs;) {
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
  lane.completions_->Settle(env, status == napi_ok);
  (void)napi_delete_async_work(env, shift->work);
  // If this fails, JavaScript can no longer run, and nothing waits for the remaining tasks.
  if (shift->cut) (void)lane.StartShift(env);
  (void)napi_close_handle_scope(env, scope);
}

}  // namespace fsq
