#include <memory>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "queue/skipped.h"

namespace fsq {
namespace {

// () -> the memory of a waiting scan, with nothing skipped yet
napi_value NewSkipped(napi_env env, napi_callback_info) {
  return NewHandle<SkippedBox>(env, std::make_shared<Skipped>());
}

// (skipped, queue) -> whether another pass would find only items that are held, delayed or may not be opened
napi_value SkippedQuiet(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto skipped = Opened<SkippedBox>(arguments[0]);
  const auto directory = Opened<QueueBox>(arguments[1]);
  return skipped && directory ? JsBuilder(env).Boolean(skipped->IsQuiet(*directory)) : nullptr;
}

constexpr Binding kFunctions[] = {
    {"newSkipped", NewSkipped},
    {"closeSkipped", Close<SkippedBox>},
    // How many items others hold whose descriptors are kept.
    {"skippedKept", NumberOf<SkippedBox, &Skipped::kept>},
    // How many items others hold of which only the names are remembered.
    {"skippedUnkept", NumberOf<SkippedBox, &Skipped::unkept>},
    // Milliseconds until the first delayed item is due, 0: it is due; -1: there is none.
    {"skippedDueIn", NumberOf<SkippedBox, &Skipped::due_in_ms>},
    {"skippedQuiet", SkippedQuiet},
};

}  // namespace

const std::span<const Binding> kSkippedFunctions = kFunctions;

}  // namespace fsq
