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

// (skipped, queue) -> whether another walk would find nothing but what is delayed or may not be opened
napi_value SkippedQuiet(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  const auto directory = Opened<QueueBox>(arguments[1]);
  return skipped && directory ? JsBuilder(env).Boolean(skipped->IsQuiet(*directory)) : nullptr;
}

constexpr Binding kFunctions[] = {
    {"newSkipped", NewSkipped},
    {"closeSkipped", Close<SkippedBox>},
    // How many are held by others, and their descriptors are kept.
    {"skippedKept", NumberOf<SkippedBox, &Skipped::kept>},
    // How many are held by others, and only their names are remembered.
    {"skippedUnkept", NumberOf<SkippedBox, &Skipped::unkept>},
    // When the first of the others is due, in milliseconds since the epoch; 0: there is none.
    {"skippedDue", NumberOf<SkippedBox, &Skipped::next_due_ms>},
    {"skippedQuiet", SkippedQuiet},
};

}  // namespace

const std::span<const Binding> kSkippedFunctions = kFunctions;

}  // namespace fsq
