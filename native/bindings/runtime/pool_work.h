// Work in Node's thread pool.
#pragma once

#include <node_api.h>

namespace fsq {

// Runs `execute` on a thread of the pool, then `complete` on this thread, which deletes the work. Null:
// JavaScript can no longer run, and neither is called.
inline napi_async_work QueueWork(napi_env env, const char* name, napi_async_execute_callback execute,
                                 napi_async_complete_callback complete, void* data) {
  napi_value resource = nullptr;
  napi_async_work work = nullptr;
  if (napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &resource) != napi_ok ||
      napi_create_async_work(env, nullptr, resource, execute, complete, data, &work) != napi_ok) {
    return nullptr;
  }
  if (napi_queue_async_work(env, work) == napi_ok) return work;
  (void)napi_delete_async_work(env, work);
  return nullptr;
}

}  // namespace fsq
