// The export table. Context-aware: each worker thread loads the addon again, and all mutable state is in
// AddonData.
#include <napi.h>

#include <memory>

#include "bindings/bindings.h"
#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_value.h"
#include "platform/platform.h"
#include "source_hash.h"  // made by the build, from source-hash.cjs

// The only use of node-addon-api, whose wrappers end the process if Node-API refuses a call. These two only
// hold a value.
static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  fsq::platform::StayLoaded();
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<fsq::AddonData*>(data); };
  auto data = std::make_unique<fsq::AddonData>();
  // If this fails, nothing is exported, so no function runs without its data.
  if (napi_set_instance_data(env, data.get(), finalize, nullptr) != napi_ok) return {};
  (void)data.release();  // the finalizer owns it
  fsq::JsBuilder js(env);
  for (const auto& functions :
       {fsq::kAccountFunctions, fsq::kClaimFunctions, fsq::kEnqueueFunctions, fsq::kEnvironmentFunctions,
        fsq::kFinishFunctions, fsq::kInstallFunctions, fsq::kListingFunctions, fsq::kLockFunctions,
        fsq::kLogFunctions, fsq::kProbeFunctions, fsq::kPruneFunctions, fsq::kQueueFunctions,
        fsq::kSkippedFunctions, fsq::kTimeFunctions, fsq::kWatchFunctions, fsq::kWorkerFunctions}) {
    for (const auto& [name, function] : functions) js.Set(exports, name, js.Function(name, function));
  }
  js.Set(exports, "sourceHash", js.Text(FSQ_SOURCE_HASH));
  return {env, js.Checked(exports)};
}

NODE_API_MODULE(fsq, Init)
