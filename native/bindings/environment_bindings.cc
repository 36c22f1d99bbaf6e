#include <fcntl.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "bindings/bindings.h"
#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/descriptor.h"
#include "calls/failure.h"
#include "calls/fault_point.h"
#include "platform/platform.h"

namespace fsq {
namespace {

// How many claims this thread holds.
napi_value HeldClaims(napi_env env, napi_callback_info) {
  return JsBuilder(env).Number(static_cast<double>(DataOf(env).claims.size()));
}

// How often this thread has gone to sleep in the kernel; -1: unknown.
napi_value Sleeps(napi_env env, napi_callback_info) {
  return JsBuilder(env).Number(static_cast<double>(platform::Sleeps()));
}

// The process exits: operations that have not begun never will, and half-written items are discarded.
napi_value Stop(napi_env env, napi_callback_info) {
  AddonData& data = DataOf(env);
  data.stopping->store(true, std::memory_order_relaxed);
  data.AbandonDrafts();
  return nullptr;
}

// () -> [read end, write end] of a pipe, whose descriptors are the caller's. The write end is for programs,
// which do not expect a write to return EAGAIN; the read end never waits.
napi_value OpenPipe(napi_env env, napi_callback_info) {
  JsBuilder js(env);
  std::array<int, 2> ends{-1, -1};
  if (platform::OpenPipe(ends.data()) == -1) return js.FailureObject(Failure{LastError(), "pipe"});
  Descriptor read(ends[0]);
  Descriptor write(ends[1]);
  if (RetryInterrupted(::fcntl, write.get(), F_SETFL, 0) == -1)
    return js.FailureObject(Failure{LastError(), "fcntl"});
  napi_value pair = js.Array(2);
  js.Set(pair, size_t{0}, js.Number(read.get()));
  js.Set(pair, size_t{1}, js.Number(write.get()));
  if (!js.ok()) return nullptr;
  read.Release();
  write.Release();
  return pair;
}

#ifdef FSQ_FAULT_POINTS

napi_value SetFaults(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const std::string rules = arguments[0].Text();
  if (arguments.ok()) fault::Set(rules);
  return nullptr;
}

napi_value FaultPoints(napi_env env, napi_callback_info) {
  JsBuilder js(env);
  napi_value names = js.Array(0);
  size_t count = 0;
  for (const std::string& point : fault::Points()) js.Set(names, count++, js.Text(point));
  return js.Checked(names);
}

// -> for each of the points, how often it has been reached since the last call of setFaults
napi_value FaultHits(napi_env env, napi_callback_info) {
  JsBuilder js(env);
  napi_value all = js.Array(0);
  size_t count = 0;
  for (const unsigned hits : fault::Hits()) js.Set(all, count++, js.Number(hits));
  return js.Checked(all);
}

#endif

constexpr Binding kFunctions[] = {
    {"heldClaims", HeldClaims}, {"openPipe", OpenPipe},       {"sleeps", Sleeps},       {"stop", Stop},
#ifdef FSQ_FAULT_POINTS
    {"setFaults", SetFaults},   {"faultPoints", FaultPoints}, {"faultHits", FaultHits},
#endif
};

}  // namespace

const std::span<const Binding> kEnvironmentFunctions = kFunctions;

}  // namespace fsq
