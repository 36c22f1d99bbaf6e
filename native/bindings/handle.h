// The objects behind the opaque handles of JavaScript.
#pragma once

#include <node_api.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/lane.h"
#include "queue/directory.h"
#include "queue/enqueue.h"
#include "queue/listing.h"
#include "queue/skipped.h"
#include "queue/worker_directory.h"

namespace fsq {

// Shared pointers keep directories and listings open while tasks use them, even if JavaScript closes the
// handle.
//
// A handle identifies its type by a number in the box, because a type tag of Node-API costs more than the
// rest of a call. Only src/addon/native.ts passes handles, so this guards against mistakes, not against
// attacks.
template <typename Object, uint64_t Mark>
struct HandleBox {
  static constexpr uint64_t kMark = Mark;
  uint64_t mark = kMark;
  std::shared_ptr<Object> value;
};

struct QueueBox : HandleBox<QueueDirectory, 0x6673712d71756575> {
  // A queue that another one has replaced: only its claims keep it open.
  std::weak_ptr<QueueDirectory> retired;
  // Created when first used.
  std::shared_ptr<Lane> enqueues;
  std::shared_ptr<Lane> bulks;
  std::shared_ptr<Lane> finishes;
};
using ListingBox = HandleBox<Listing, 0x6673712d6c697374>;
using FormBox = HandleBox<const ItemForm, 0x6673712d6974656d>;
// Cancels one operation: the JavaScript thread sets it, and the operation checks it.
using StopBox = HandleBox<std::atomic<bool>, 0x6673712d73746f70>;
using DraftBox = HandleBox<Draft, 0x6673712d64726166>;
// The items that a waiting scan has skipped. Other scans have none.
using SkippedBox = HandleBox<Skipped, 0x6673712d736b6970>;
// The directory of a dead worker.
using SeizedBox = HandleBox<WorkerDirectory, 0x6673712d64656164>;

template <typename Box>
napi_value NewHandle(napi_env env, decltype(Box::value) value) {
  auto box = std::make_unique<Box>();
  box->value = std::move(value);
  napi_value handle = nullptr;
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Box*>(data); };
  if (napi_create_external(env, box.get(), finalize, nullptr, &handle) != napi_ok) return nullptr;
  box.release();  // the finalizer owns it
  return handle;
}

template <typename Box>
Box* BoxOf(const JsArgument& handle) {
  auto* const box = static_cast<Box*>(handle.External());
  if (box != nullptr && box->mark == Box::kMark) return box;
  handle.Refuse("not a handle of this addon");
  return nullptr;
}

// The box of a handle that is still open; null otherwise.
template <typename Box>
Box* OpenBoxOf(const JsArgument& handle) {
  Box* const box = BoxOf<Box>(handle);
  if (box == nullptr || box->value) return box;
  handle.Refuse("the handle is closed");
  return nullptr;
}

// The object behind an open handle; null otherwise. Only for the current call: closing the handle destroys
// it.
template <typename Box>
auto* OpenedHere(const JsArgument& handle) {
  Box* const box = OpenBoxOf<Box>(handle);
  return box == nullptr ? nullptr : box->value.get();
}

// The same, but the returned pointer keeps the object alive.
template <typename Box>
decltype(Box::value) Opened(const JsArgument& handle) {
  Box* const box = OpenBoxOf<Box>(handle);
  return box == nullptr ? nullptr : box->value;
}

template <>
inline std::shared_ptr<QueueDirectory> Opened<QueueBox>(const JsArgument& handle) {
  QueueBox* const box = BoxOf<QueueBox>(handle);
  if (box == nullptr || box->value) return box == nullptr ? nullptr : box->value;
  std::shared_ptr<QueueDirectory> retired = box->retired.lock();
  if (!retired) handle.Refuse("the handle is closed");
  return retired;
}

// The same for an optional argument; null if it was not passed.
template <typename Box>
decltype(Box::value) OpenedIfGiven(const JsArgument& handle) {
  return handle.omitted() ? nullptr : Opened<Box>(handle);
}

// (handle): destroys the object, or lets the last task that uses it do so.
template <typename Box>
napi_value Close(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  if (Box* const box = BoxOf<Box>(arguments[0])) box->value.reset();
  return nullptr;
}

// (handle) -> a number that the object has
template <typename Box, auto Read>
napi_value NumberOf(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto* const object = OpenedHere<Box>(arguments[0]);
  return object == nullptr ? nullptr : JsBuilder(env).Number(static_cast<double>(std::invoke(Read, *object)));
}

// A lane of the queue that is the first argument; null if that is not a queue.
template <std::shared_ptr<Lane> QueueBox::*Which>
std::shared_ptr<Lane>* LaneOf(JsArguments& arguments) {
  QueueBox* const box = BoxOf<QueueBox>(arguments[0]);
  return box == nullptr ? nullptr : &(box->*Which);
}

}  // namespace fsq
