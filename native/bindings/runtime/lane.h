// Tasks of one kind that run one after the other, in the order in which they came, on one thread of the pool.
//
// That thread goes on while there are more, and looks out for the next one for a moment before it goes:
// waking a thread costs more than most tasks, on both sides. So a steady stream of tasks pays for no waking
// up, and a lone one for as much as any work of the pool.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "bindings/runtime/pending_task.h"

namespace fsq {

class Ends;

class Lane : public std::enable_shared_from_this<Lane> {
 public:
  // Null: JavaScript cannot run any more.
  static std::shared_ptr<Lane> Of(napi_env env);

  explicit Lane(std::shared_ptr<Ends> ends) : ends_(std::move(ends)) {}

  // A promise for the answer; null: JavaScript cannot run any more.
  napi_value Run(napi_env env, std::unique_ptr<Task> task);

 private:
  struct Shift;

  static void Execute(napi_env env, void* data);
  static void Complete(napi_env env, napi_status status, void* data);
  bool StartShift(napi_env env);
  bool Work();
  std::unique_ptr<PendingTask> Next();
  bool MoreComes() const;

  const std::shared_ptr<Ends> ends_;

  std::mutex mutex_;
  // Guarded by it.
  std::deque<std::unique_ptr<PendingTask>> waiting_;
  bool working_ = false;
  int64_t ended_ns_ = 0;  // when the last shift ended

  // Changed under it, and looked at without.
  std::atomic<size_t> waiting_count_{0};

  // The last task came while there was another, or soon after.
  std::atomic<bool> brisk_{false};
};

}  // namespace fsq
