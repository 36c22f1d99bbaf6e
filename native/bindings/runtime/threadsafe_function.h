// Shared by the two ways from other threads to JavaScript.
#pragma once

#include <node_api.h>

#include <memory>
#include <utility>

namespace fsq {

// Does not keep the process alive. Null: JavaScript can no longer run.
inline napi_threadsafe_function NewThreadsafeFunction(napi_env env, const char* name,
                                                      napi_threadsafe_function_call_js call) {
  napi_value resource = nullptr;
  napi_threadsafe_function function = nullptr;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource) != napi_ok ||
      napi_create_threadsafe_function(env, nullptr, nullptr, resource, 0, 1, nullptr, nullptr, nullptr, call,
                                      &function) != napi_ok) {
    return nullptr;
  }
  (void)napi_unref_threadsafe_function(env, function);
  return function;
}

// Keeps an object until its environment ends, and then closes it, before everything that was created earlier
// is torn down. False: the environment is already ending.
template <typename Kept>
bool CloseWithEnvironment(napi_env env, std::shared_ptr<Kept> object) {
  auto kept = std::make_unique<std::shared_ptr<Kept>>(std::move(object));
  const auto close = [](void* data) {
    const std::unique_ptr<std::shared_ptr<Kept>> owned(static_cast<std::shared_ptr<Kept>*>(data));
    (*owned)->Close();
  };
  if (napi_add_env_cleanup_hook(env, close, kept.get()) != napi_ok) return false;
  (void)kept.release();
  return true;
}

}  // namespace fsq
