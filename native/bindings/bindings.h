// The functions that JavaScript calls, a group a declaration; src/native.ts says what each takes and answers.
//
// One that gives null has thrown, or answers undefined.
#pragma once

#include <node_api.h>

#include <span>

#include "js_value.h"

namespace fsq {

struct Binding {
  const char* name;
  napi_callback function;
};

inline void Export(JsBuilder& js, napi_value exports, std::span<const Binding> bindings) {
  for (const auto& [name, function] : bindings) js.Set(exports, name, js.Function(name, function));
}

void ExportEnqueueFunctions(JsBuilder& js, napi_value exports);
void ExportLockFunctions(JsBuilder& js, napi_value exports);
void ExportProbeFunctions(JsBuilder& js, napi_value exports);
void ExportQueueFunctions(JsBuilder& js, napi_value exports);
void ExportSkippedFunctions(JsBuilder& js, napi_value exports);
void ExportUtilityFunctions(JsBuilder& js, napi_value exports);
void ExportWatchFunctions(JsBuilder& js, napi_value exports);

}  // namespace fsq
