#include <memory>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "queue/skipped.h"

namespace fsq {
namespace {

// () -> what a scan that waits has skipped: nothing yet
napi_value NewSkipped(napi_env env, napi_callback_info) {
  return NewHandle<SkippedBox>(env, std::make_shared<Skipped>());
}

// (skipped) -> how many are held by others, and their descriptors are kept
napi_value SkippedKept(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  return skipped ? JsBuilder(env).Number(static_cast<double>(skipped->kept())) : nullptr;
}

// (skipped) -> how many are held by others, and only their names are remembered
napi_value SkippedUnkept(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  return skipped ? JsBuilder(env).Number(static_cast<double>(skipped->unkept())) : nullptr;
}

// (skipped, queue) -> whether another walk would find nothing but what is delayed or may not be opened
napi_value SkippedQuiet(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  const auto directory = Opened<QueueBox>(arguments[1]);
  return skipped && directory ? JsBuilder(env).Boolean(skipped->IsQuiet(*directory)) : nullptr;
}

// (skipped) -> when the first of the others is due, in milliseconds since the epoch; 0: there is none
napi_value SkippedDue(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  return skipped ? JsBuilder(env).Number(static_cast<double>(skipped->next_due_ms())) : nullptr;
}

constexpr Binding kFunctions[] = {
    {"newSkipped", NewSkipped},       {"closeSkipped", Close<SkippedBox>}, {"skippedKept", SkippedKept},
    {"skippedUnkept", SkippedUnkept}, {"skippedDue", SkippedDue},          {"skippedQuiet", SkippedQuiet},
};

}  // namespace

const std::span<const Binding> kSkippedFunctions = kFunctions;

}  // namespace fsq
