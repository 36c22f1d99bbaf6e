// The functions that JavaScript calls, one table for each group. src/addon/native.ts documents their
// arguments and results.
//
// A function that returns null has thrown, or answers undefined.
#pragma once

#include <node_api.h>

#include <span>

namespace fsq {

struct Binding {
  const char* name;
  napi_callback function;
};

extern const std::span<const Binding> kAccountFunctions;
extern const std::span<const Binding> kClaimFunctions;
extern const std::span<const Binding> kEnqueueFunctions;
extern const std::span<const Binding> kEnvironmentFunctions;
extern const std::span<const Binding> kFinishFunctions;
extern const std::span<const Binding> kInstallFunctions;
extern const std::span<const Binding> kListingFunctions;
extern const std::span<const Binding> kLockFunctions;
extern const std::span<const Binding> kLogFunctions;
extern const std::span<const Binding> kProbeFunctions;
extern const std::span<const Binding> kPruneFunctions;
extern const std::span<const Binding> kQueueFunctions;
extern const std::span<const Binding> kSkippedFunctions;
extern const std::span<const Binding> kTimeFunctions;
extern const std::span<const Binding> kWatchFunctions;
extern const std::span<const Binding> kWorkerFunctions;

}  // namespace fsq
