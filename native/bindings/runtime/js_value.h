// Makes JavaScript values with plain Node-API calls. After the first refusal, all further calls do nothing.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <string_view>

#include "calls/failure.h"
#include "platform/platform.h"

namespace fsq {

class JsBuilder {
 public:
  explicit JsBuilder(napi_env env) : env_(env) {}

  bool ok() const { return ok_; }
  // Null unless every call has succeeded.
  napi_value Checked(napi_value value) const { return ok_ ? value : nullptr; }

  // A string with one character (0 to 255) for each byte: names of files need not be valid text.
  napi_value Bytes(std::string_view bytes);
  napi_value Text(std::string_view text);
  napi_value Number(double number);
  napi_value Boolean(bool value);
  napi_value Undefined();
  napi_value Null();
  napi_value Array(size_t length);
  // A Float64Array; `numbers` points to its elements.
  napi_value Numbers(size_t count, double** numbers);
  napi_value Object();
  napi_value Function(const char* name, napi_callback function);
  // A copy of the bytes, as a Node Buffer.
  napi_value Buffer(std::string_view bytes);
  // {name, reach}
  napi_value FileSystemObject(const platform::FileSystem& file_system);
  // {errno, syscall, path?, dest?}
  napi_value FailureObject(const Failure& failure);

  void Set(napi_value array, size_t index, napi_value value);
  void Set(napi_value object, const char* key, napi_value value);

 private:
  bool Try(napi_status status) { return ok_ = ok_ && status == napi_ok; }

  napi_env env_;
  bool ok_ = true;
};

}  // namespace fsq
