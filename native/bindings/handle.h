// What the opaque handles of JavaScript point to.
#pragma once

#include <napi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "../directory.h"
#include "../enqueue.h"
#include "../listing.h"
#include "../skipped.h"
#include "lane.h"

namespace fsq {

// The shared pointers keep directories and listings open while tasks use them, whatever JavaScript closes
// meanwhile.
//
// A handle says what it is by a number of its own: a type tag of Node-API costs more than the rest of a call.
// Only src/native.ts passes handles, so it guards against a mix-up, not against strangers.
template <typename Object, uint64_t Mark>
struct HandleBox {
  static constexpr uint64_t kMark = Mark;
  uint64_t mark = kMark;
  std::shared_ptr<Object> value;
};

struct QueueBox : HandleBox<QueueDirectory, 0x6673712d71756575> {
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
Box* BoxOf(const Napi::Value& handle) {
  void* data = nullptr;
  if (napi_get_value_external(handle.Env(), handle, &data) == napi_ok && data != nullptr) {
    auto* const box = static_cast<Box*>(data);
    if (box->mark == Box::kMark) return box;
  }
  Napi::TypeError::New(handle.Env(), "not a handle of this addon").ThrowAsJavaScriptException();
  return nullptr;
}

// That of a handle that is still open; throws otherwise.
template <typename Box>
Box* OpenBoxOf(const Napi::Value& handle) {
  Box* const box = BoxOf<Box>(handle);
  if (box == nullptr || box->value) return box;
  Napi::Error::New(handle.Env(), "the handle is closed").ThrowAsJavaScriptException();
  return nullptr;
}

// The object behind a handle that is still open; throws otherwise. For this call only: it goes when the
// handle is closed.
template <typename Box>
auto* OpenedHere(const Napi::Value& handle) {
  Box* const box = OpenBoxOf<Box>(handle);
  return box == nullptr ? nullptr : box->value.get();
}

// The same, kept open by whoever has it.
template <typename Box>
decltype(Box::value) Opened(const Napi::Value& handle) {
  Box* const box = OpenBoxOf<Box>(handle);
  return box == nullptr ? nullptr : box->value;
}

// (handle): the object goes, or when the last task that uses it has ended.
template <typename Box>
Napi::Value Close(const Napi::CallbackInfo& info) {
  if (Box* const box = BoxOf<Box>(info[0])) box->value.reset();
  return info.Env().Undefined();
}

// One of the lanes of a queue; null: it has thrown.
template <std::shared_ptr<Lane> QueueBox::*Which>
std::shared_ptr<Lane>* LaneOf(const Napi::CallbackInfo& info) {
  QueueBox* const box = BoxOf<QueueBox>(info[0]);
  return box == nullptr ? nullptr : &(box->*Which);
}

}  // namespace fsq
