// The functions that JavaScript calls, a group a declaration; src/native.ts says what each takes and answers.
#pragma once

#include <napi.h>

#include <span>

namespace fsq {

struct Binding {
  const char* name;
  Napi::Value (*function)(const Napi::CallbackInfo&);
};

inline void Export(Napi::Object exports, std::span<const Binding> bindings) {
  for (const auto& [name, function] : bindings)
    exports.Set(name, Napi::Function::New(exports.Env(), function, name));
}

void ExportEnqueueFunctions(Napi::Object exports);
void ExportLockFunctions(Napi::Object exports);
void ExportProbeFunctions(Napi::Object exports);
void ExportQueueFunctions(Napi::Object exports);
void ExportSkippedFunctions(Napi::Object exports);
void ExportUtilityFunctions(Napi::Object exports);
void ExportWatchFunctions(Napi::Object exports);

}  // namespace fsq
