// The functions that JavaScript calls, a group a declaration; src/native.ts says what each takes and answers.
#pragma once

#include <napi.h>

namespace fsq {

void ExportEnqueueFunctions(Napi::Env env, Napi::Object exports);
void ExportLockFunctions(Napi::Env env, Napi::Object exports);
void ExportProbeFunctions(Napi::Env env, Napi::Object exports);
void ExportQueueFunctions(Napi::Env env, Napi::Object exports);
void ExportSkippedFunctions(Napi::Env env, Napi::Object exports);
void ExportUtilityFunctions(Napi::Env env, Napi::Object exports);
void ExportWatchFunctions(Napi::Env env, Napi::Object exports);

}  // namespace fsq
