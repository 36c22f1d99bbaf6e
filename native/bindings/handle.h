// What the opaque handles of JavaScript point to.
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

namespace fsq {

// The shared pointers keep directories and listings open while tasks use them, whatever JavaScript closes
// meanwhile.
//
// A handle says what it is by a number of its own: a type tag of Node-API costs more than the rest of a call.
// Only src/addon/native.ts passes handles, so it guards against a mix-up, not against strangers.
template <typename Object, uint64_t Mark>
struct HandleBox {
  static constexpr uint64_t kMark = Mark;
  uint64_t mark = kMark;
  std::shared_ptr<Object> value;
};

struct QueueBox : HandleBox<QueueDirectory, 0x6673712d71756575> {
  // Of a queue that another one has replaced: its claims keep it open.
  std::weak_ptr<QueueDirectory> retired;
  // Made when they are needed.
  std::shared_ptr<Lane> enqueues;
  std::shared_ptr<Lane> bulks;
  std::shared_ptr<Lane> finishes;
};
using ListingBox = HandleBox<Listing, 0x6673712d6c697374>;
using FormBox = HandleBox<const ItemForm, 0x6673712d6974656d>;
// What ends one operation before its time: set by the JavaScript thread, looked at by the operation.
using StopBox = HandleBox<std::atomic<bool>, 0x6673712d73746f70>;
using DraftBox = HandleBox<Draft, 0x6673712d64726166>;
// What a scan that waits has skipped: one that does not wait has none.
using SkippedBox = HandleBox<Skipped, 0x6673712d736b6970>;

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

// That of a handle that is still open; null otherwise.
template <typename Box>
Box* OpenBoxOf(const JsArgument& handle) {
  Box* const box = BoxOf<Box>(handle);
  if (box == nullptr || box->value) return box;
  handle.Refuse("the handle is closed");
  return nullptr;
}

// The object behind a handle that is still open; null otherwise. For this call only: it goes when the
// handle is closed.
template <typename Box>
auto* OpenedHere(const JsArgument& handle) {
  Box* const box = OpenBoxOf<Box>(handle);
  return box == nullptr ? nullptr : box->value.get();
}

// The same, kept open by whoever has it.
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

// The same of an argument that may be left out; null then, too.
template <typename Box>
decltype(Box::value) OpenedIfGiven(const JsArgument& handle) {
  return handle.left_out() ? nullptr : Opened<Box>(handle);
}

// (handle): the object goes, or when the last task that uses it has ended.
template <typename Box>
napi_value Close(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  if (Box* const box = BoxOf<Box>(arguments[0])) box->value.reset();
  return nullptr;
}

// (handle) -> a number that the object tells
template <typename Box, auto Read>
napi_value NumberOf(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto* const object = OpenedHere<Box>(arguments[0]);
  return object == nullptr ? nullptr : JsBuilder(env).Number(static_cast<double>(std::invoke(Read, *object)));
}

// One of the lanes of a queue, the first argument; null: it is none.
template <std::shared_ptr<Lane> QueueBox::*Which>
std::shared_ptr<Lane>* LaneOf(JsArguments& arguments) {
  QueueBox* const box = BoxOf<QueueBox>(arguments[0]);
  return box == nullptr ? nullptr : &(box->*Which);
}

}  // namespace fsq
