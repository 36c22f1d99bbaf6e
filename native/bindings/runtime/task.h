// One operation as JavaScript sees it: read from the arguments on the JavaScript thread, by the constructor,
// run there or on a thread of the pool, answered on the JavaScript thread.
#pragma once

#include <node_api.h>

#include <memory>
#include <utility>

#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"

namespace fsq {

class Lane;

class Task {
 public:
  virtual ~Task() = default;

  // Not on the JavaScript thread, unless the form is synchronous.
  virtual void Run() = 0;

  // The answer; null: JavaScript cannot run any more (the thread is being terminated). What is not handed
  // over is closed by the destructor.
  virtual napi_value Answer(napi_env env, AddonData& data) = 0;

  // Keeps a JavaScript value, and so the memory that the task borrows from it, alive until the task ends.
  void KeepAlive(const JsArgument& value) { kept_ = value.Reference(); }
  void LetGo() { kept_.reset(); }

 private:
  JsReference kept_;
};

AddonData& DataOf(napi_env env);

// A promise for the answer.
napi_value RunInPool(napi_env env, std::unique_ptr<Task> task);

// The same, after those that were given to the lane before; it is made with the first of them.
napi_value RunInLane(napi_env env, std::shared_ptr<Lane>& lane, std::unique_ptr<Task> task);

// The answer.
napi_value RunHere(napi_env env, Task& task);

// The forms of an operation. A task whose arguments were refused is not begun.
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
