// One operation as JavaScript sees it: parsed on the JavaScript thread, run there or on a thread of the pool,
// answered on the JavaScript thread.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

#include "addon_data.h"

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
  void KeepAlive(Napi::Value value);
  void LetGo() { kept_.Reset(); }

 private:
  Napi::Reference<Napi::Value> kept_;
};

AddonData& DataOf(Napi::Env env);

// A promise for the answer.
Napi::Value RunInPool(Napi::Env env, std::unique_ptr<Task> task);

// The same, after those that were given to the lane before; it is made with the first of them.
Napi::Value RunInLane(Napi::Env env, std::shared_ptr<Lane>& lane, std::unique_ptr<Task> task);

// The answer.
Napi::Value RunHere(Napi::Env env, Task& task);

// The forms of an operation. Parse gives null where it has thrown.
template <typename TaskType>
Napi::Value Start(const Napi::CallbackInfo& info) {
  auto task = TaskType::Parse(info);
  return task ? RunInPool(info.Env(), std::move(task)) : Napi::Value();
}

template <typename TaskType, std::shared_ptr<Lane>* (*LaneOf)(const Napi::CallbackInfo&)>
Napi::Value StartInLane(const Napi::CallbackInfo& info) {
  auto task = TaskType::Parse(info);
  if (!task) return {};
  std::shared_ptr<Lane>* const lane = LaneOf(info);
  return lane == nullptr ? Napi::Value() : RunInLane(info.Env(), *lane, std::move(task));
}

template <typename TaskType>
Napi::Value StartSync(const Napi::CallbackInfo& info) {
  const auto task = TaskType::Parse(info);
  return task ? RunHere(info.Env(), *task) : Napi::Value();
}

}  // namespace fsq
