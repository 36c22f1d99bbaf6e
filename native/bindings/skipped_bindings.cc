#include <memory>

#include "../skipped.h"
#include "bindings.h"
#include "handle.h"

namespace fsq {
namespace {

// () -> what a scan that waits has skipped: nothing yet
Napi::Value NewSkipped(const Napi::CallbackInfo& info) {
  return {info.Env(), NewHandle<SkippedBox>(info.Env(), std::make_shared<Skipped>())};
}

// (skipped) -> how many are held by others
Napi::Value SkippedBusy(const Napi::CallbackInfo& info) {
  const auto skipped = Opened<SkippedBox>(info[0]);
  return skipped ? Napi::Number::New(info.Env(), static_cast<double>(skipped->busy())) : Napi::Value();
}

// (skipped, queue) -> whether another walk would find nothing but what is delayed or may not be opened
Napi::Value SkippedQuiet(const Napi::CallbackInfo& info) {
  const auto skipped = Opened<SkippedBox>(info[0]);
  const auto directory = Opened<QueueBox>(info[1]);
  if (!skipped || !directory) return {};
  return Napi::Boolean::New(info.Env(), skipped->IsQuiet(*directory));
}

// (skipped) -> when the first of the others is due, in milliseconds since the epoch; 0: there is none
Napi::Value SkippedDue(const Napi::CallbackInfo& info) {
  const auto skipped = Opened<SkippedBox>(info[0]);
  return skipped ? Napi::Number::New(info.Env(), static_cast<double>(skipped->next_due_ms())) : Napi::Value();
}

constexpr Binding kFunctions[] = {
    {"newSkipped", NewSkipped}, {"closeSkipped", Close<SkippedBox>}, {"skippedBusy", SkippedBusy},
    {"skippedDue", SkippedDue}, {"skippedQuiet", SkippedQuiet},
};

}  // namespace

void ExportSkippedFunctions(Napi::Object exports) {
  Export(exports, kFunctions);
}

}  // namespace fsq
