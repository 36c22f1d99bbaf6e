// One operation for JavaScript. The constructor reads the arguments on the JavaScript thread; Run() runs on a
// thread of the pool, or here for a synchronous call; Answer() runs on the JavaScript thread.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"
#include "calls/clock.h"

namespace fsq {

class Lane;

class Task {
 public:
  virtual ~Task() = default;

  // On a thread of the pool, unless the call is synchronous.
  virtual void Run() = 0;

  // Runs, and measures that.
  void RunTimed() {
    const int64_t begun = NowNs();
    Run();
    spent_ns_ = NowNs() - begun;
  }

  // How many microseconds the run has taken.
  double spent_us() const { return static_cast<double>(spent_ns_) / 1000; }

  // Whether it runs before the tasks that wait in its lane already.
  virtual bool goes_first() const { return false; }

  // The answer. Null: JavaScript can no longer run (the thread is being terminated). The destructor closes
  // everything that was not handed over.
  virtual napi_value Answer(napi_env env, AddonData& data) = 0;

  // Keeps a JavaScript value alive until the task ends, and with it the memory that the task borrows from it.
  void KeepAlive(const JsArgument& value) { kept_ = value.Reference(); }
  void ReleaseValue() { kept_.reset(); }

 protected:
  // The value of KeepAlive. Null: JavaScript can no longer run.
  napi_value KeptValue(napi_env env) const {
    napi_value value = nullptr;
    return napi_get_reference_value(env, kept_.get(), &value) == napi_ok ? value : nullptr;
  }

 private:
  JsReference kept_;
  int64_t spent_ns_ = 0;
};

AddonData& DataOf(napi_env env);

// Returns a promise for the answer.
napi_value RunInPool(napi_env env, std::unique_ptr<Task> task);

// The same, after all earlier tasks of the lane, which is created with its first task.
napi_value RunInLane(napi_env env, std::shared_ptr<Lane>& lane, std::unique_ptr<Task> task);

// Runs the task on this thread and returns its answer.
napi_value RunHere(napi_env env, Task& task);

// The asynchronous and synchronous forms of an operation. A task with invalid arguments is not begun.
template <typename TaskType>
napi_value Start(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  auto task = std::make_unique<TaskType>(arguments);
  return arguments.ok() ? RunInPool(env, std::move(task)) : nullptr;
}

template <typename TaskType, std::shared_ptr<Lane>* (*LaneOf)(JsArguments&)>
napi_value StartInLane(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  auto task = std::make_unique<TaskType>(arguments);
  std::shared_ptr<Lane>* const lane = LaneOf(arguments);
  return arguments.ok() ? RunInLane(env, *lane, std::move(task)) : nullptr;
}

template <typename TaskType>
napi_value StartSync(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  TaskType task(arguments);
  return arguments.ok() ? RunHere(env, task) : nullptr;
}

}  // namespace fsq
