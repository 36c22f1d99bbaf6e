// Reads the arguments from JavaScript with plain Node-API calls; JsBuilder makes the answers. The first
// refusal is remembered, and values read after it must not be used.
//
// While a worker thread is being terminated, any call may refuse and leave no value to continue with; the C++
// wrapper of Node-API ends the process in that case. If JavaScript can still run, a TypeError is thrown.
#pragma once

#include <node_api.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

namespace fsq {

struct DeleteReference {
  void operator()(napi_ref reference) const { (void)napi_delete_reference(env, reference); }
  napi_env env = nullptr;
};
// Keeps a value alive. For the JavaScript thread only.
using JsReference = std::unique_ptr<std::remove_pointer_t<napi_ref>, DeleteReference>;

class JsArgument;

// The arguments of one call.
class JsArguments {
 public:
  JsArguments(napi_env env, napi_callback_info info) : env_(env) {
    (void)Try(napi_get_cb_info(env, info, &count_, values_.data(), nullptr, nullptr), "no arguments");
  }

  napi_env env() const { return env_; }
  // How many arguments were passed.
  size_t count() const { return count_; }
  bool ok() const { return ok_; }

  // undefined if the argument was not passed.
  JsArgument operator[](size_t index);

  // Rejects a value that is not what it should be.
  void Refuse(const char* message);

 private:
  friend class JsArgument;

  bool Try(napi_status status, const char* message) {
    if (status != napi_ok) Refuse(message);
    return status == napi_ok;
  }

  napi_env env_;
  bool ok_ = true;
  std::array<napi_value, 8> values_{};  // as many as any function takes
  size_t count_ = values_.size();
};

// One argument, or a value in it.
class JsArgument {
 public:
  JsArgument(JsArguments& all, napi_value value) : all_(all), value_(value) {}

  napi_valuetype type() const { return Read(napi_typeof, "expected a value"); }
  bool omitted() const { return type() == napi_undefined; }

  int64_t Integer() const { return Read(napi_get_value_int64, "expected a number"); }
  bool Flag() const { return Read(napi_get_value_bool, "expected a boolean"); }
  void* External() const { return Read(napi_get_value_external, "expected a handle"); }
  std::string Text() const { return String(napi_get_value_string_utf8); }
  // A raw name, as a string with one character for each byte (see JsBuilder::Bytes).
  std::string Bytes() const { return String(napi_get_value_string_latin1); }
  // The elements of a Float64Array.
  std::span<const double> Numbers() const;
  // The bytes of a Uint8Array.
  std::span<char> Memory() const;
  JsReference Reference() const;

  // The length of an array.
  size_t Length() const { return Read(napi_get_array_length, "expected an array"); }
  JsArgument Element(size_t index) const;

  JsArgument Property(const char* key) const;

  void Refuse(const char* message) const { all_.Refuse(message); }

 private:
  using ReadString = napi_status (*)(napi_env, napi_value, char*, size_t, size_t*);

  template <typename Value>
  Value Read(napi_status (*read)(napi_env, napi_value, Value*), const char* message) const {
    Value value{};
    (void)all_.Try(read(all_.env_, value_, &value), message);
    return value;
  }
  std::string String(ReadString read) const;
  void* Elements(napi_typedarray_type type, size_t* count, const char* message) const;

  JsArguments& all_;
  napi_value value_;
};

inline JsArgument JsArguments::operator[](size_t index) {
  return {*this, values_[index]};
}

}  // namespace fsq
