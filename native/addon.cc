// The export table. Context-aware: worker threads load it many times, and all that changes lives in
// AddonData.
#include <napi.h>

#include "bindings/addon_data.h"
#include "bindings/bindings.h"
#include "platform.h"
#include "source_hash.h"  // made by the build, from source-hash.cjs

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  fsq::platform::StayLoaded();
  env.SetInstanceData(new fsq::AddonData());
  fsq::ExportEnqueueFunctions(exports);
  fsq::ExportLockFunctions(exports);
  fsq::ExportProbeFunctions(exports);
  fsq::ExportQueueFunctions(exports);
  fsq::ExportSkippedFunctions(exports);
  fsq::ExportUtilityFunctions(exports);
  fsq::ExportWatchFunctions(exports);
  exports["sourceHash"] = Napi::String::New(env, FSQ_SOURCE_HASH);
  return exports;
}

NODE_API_MODULE(fsq, Init)
