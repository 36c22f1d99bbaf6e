#include "js_argument.h"

#include <array>

namespace fsq {

std::string BytesOf(const Napi::Value& value) {
  if (value.IsEmpty()) return {};
  // Any name fits; one call instead of two.
  std::array<char, 512> buffer;
  size_t length = 0;
  napi_env env = value.Env();
  if (napi_get_value_string_latin1(env, value, buffer.data(), buffer.size(), &length) != napi_ok) {
    Napi::TypeError::New(env, "expected a string of bytes").ThrowAsJavaScriptException();
    return {};
  }
  if (length + 1 < buffer.size()) return {buffer.data(), length};
  if (napi_get_value_string_latin1(env, value, nullptr, 0, &length) != napi_ok) return {};
  std::string bytes(length, '\0');
  napi_get_value_string_latin1(env, value, bytes.data(), length + 1, &length);
  return bytes;
}

const double* NumbersOf(const Napi::Value& value, size_t* length) {
  void* data = nullptr;
  napi_typedarray_type type = napi_int8_array;
  if (!value.IsEmpty() &&
      napi_get_typedarray_info(value.Env(), value, &type, length, &data, nullptr, nullptr) == napi_ok &&
      type == napi_float64_array) {
    return static_cast<const double*>(data);
  }
  Napi::TypeError::New(value.Env(), "expected a Float64Array").ThrowAsJavaScriptException();
  return nullptr;
}

}  // namespace fsq
