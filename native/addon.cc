// The export table. Context-aware: worker threads load it many times, and all that changes lives in
// AddonData.
#include <node_api.h>

#include <memory>

#include "bindings/addon_data.h"
#include "bindings/bindings.h"
#include "bindings/js_value.h"
#include "source_hash.h"  // made by the build, from source-hash.cjs

NAPI_MODULE_INIT() {
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<fsq::AddonData*>(data); };
  auto data = std::make_unique<fsq::AddonData>();
  // Without it there are no functions that could miss it.
  if (napi_set_instance_data(env, data.get(), finalize, nullptr) != napi_ok) return nullptr;
  (void)data.release();  // the finalizer owns it
  fsq::JsBuilder js(env);
  fsq::ExportEnqueueFunctions(js, exports);
  fsq::ExportLockFunctions(js, exports);
  fsq::ExportProbeFunctions(js, exports);
  fsq::ExportQueueFunctions(js, exports);
  fsq::ExportSkippedFunctions(js, exports);
  fsq::ExportUtilityFunctions(js, exports);
  fsq::ExportWatchFunctions(js, exports);
  js.Set(exports, "sourceHash", js.Text(FSQ_SOURCE_HASH));
  return js.Checked(exports);
}
