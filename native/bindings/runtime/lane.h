// Tasks of one kind that run one after the other, in the order in which they came, on one thread of the pool.
// A task that goes first runs before all others that wait.
//
// The thread continues while tasks are waiting, and spins briefly for the next one before it leaves: waking a
// thread costs more than most tasks, on both sides. A steady stream of tasks causes no wake-ups, and a single
// task costs no more than other work of the pool.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "bindings/runtime/pending_task.h"

namespace fsq {

class Completions;

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  // Null: JavaScript can no longer run.
  static std::shared_ptr<Lane> Of(napi_env env);

  explicit Lane(std::shared_ptr<Completions> completions) : completions_(std::move(completions)) {}

  // Returns a promise for the answer. Null: JavaScript can no longer run.
  napi_value Run(napi_env env, std::unique_ptr<Task> task);

 private:
  struct Shift;

  static void Execute(napi_env env, void* data);
  static void Complete(napi_env env, napi_status status, void* data);
  bool StartShift(napi_env env);
  bool Work();
  std::unique_ptr<PendingTask> Next();
  bool MoreComes() const;

  const std::shared_ptr<Completions> completions_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::deque<std::unique_ptr<PendingTask>> waiting_;
  bool working_ = false;
  int64_t ended_ns_ = 0;  // when the last shift ended

  // Written under mutex_, and read without it.
  std::atomic<size_t> waiting_count_{0};

  // True if the last task came while another was waiting or running, or soon after.
  std::atomic<bool> brisk_{false};
};

}  // namespace fsq
