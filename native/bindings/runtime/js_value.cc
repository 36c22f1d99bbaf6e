#include "bindings/runtime/js_value.h"

namespace fsq {

napi_value JsBuilder::Bytes(std::string_view bytes) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_string_latin1(env_, bytes.data(), bytes.size(), &value));
  return value;
}

napi_value JsBuilder::Text(std::string_view text) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_string_utf8(env_, text.data(), text.size(), &value));
  return value;
}

napi_value JsBuilder::Number(double number) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_double(env_, number, &value));
  return value;
}

napi_value JsBuilder::Boolean(bool flag) {
  napi_value value = nullptr;
  if (ok_) Try(napi_get_boolean(env_, flag, &value));
  return value;
}

napi_value JsBuilder::Undefined() {
  napi_value value = nullptr;
  if (ok_) Try(napi_get_undefined(env_, &value));
  return value;
}

napi_value JsBuilder::Null() {
  napi_value value = nullptr;
  if (ok_) Try(napi_get_null(env_, &value));
  return value;
}

napi_value JsBuilder::Array(size_t length) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_array_with_length(env_, length, &value));
  return value;
}

napi_value JsBuilder::Numbers(size_t count, double** numbers) {
  napi_value buffer = nullptr;
  napi_value value = nullptr;
  void* data = nullptr;
  if (ok_) Try(napi_create_arraybuffer(env_, count * sizeof(double), &data, &buffer));
  if (ok_) Try(napi_create_typedarray(env_, napi_float64_array, count, buffer, 0, &value));
  *numbers = static_cast<double*>(data);
  return value;
}

napi_value JsBuilder::Object() {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_object(env_, &value));
  return value;
}

napi_value JsBuilder::Function(const char* name, napi_callback function) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_function(env_, name, NAPI_AUTO_LENGTH, function, nullptr, &value));
  return value;
}

napi_value JsBuilder::Buffer(std::string_view bytes) {
  napi_value value = nullptr;
  if (ok_) Try(napi_create_buffer_copy(env_, bytes.size(), bytes.data(), nullptr, &value));
  return value;
}

napi_value JsBuilder::FileSystemObject(const platform::FileSystem& file_system) {
  napi_value object = Object();
  Set(object, "name", Bytes(file_system.name));
  Set(object, "reach", Number(static_cast<int>(file_system.reach)));
  return Checked(object);
}

napi_value JsBuilder::FailureObject(const Failure& failure) {
  napi_value object = Object();
  Set(object, "errno", Number(failure.error));
  Set(object, "syscall", Text(failure.syscall));
  if (!failure.path.empty()) Set(object, "path", Bytes(failure.path));
  if (!failure.dest.empty()) Set(object, "dest", Bytes(failure.dest));
  return Checked(object);
}

void JsBuilder::Set(napi_value array, size_t index, napi_value value) {
  if (ok_) Try(napi_set_element(env_, array, static_cast<uint32_t>(index), value));
}

void JsBuilder::Set(napi_value object, const char* key, napi_value value) {
  if (ok_) Try(napi_set_named_property(env_, object, key, value));
}

}  // namespace fsq
