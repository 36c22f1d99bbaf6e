// Reading what JavaScript passes. Where a value is not what it should be, an exception is pending afterwards.
// An empty value, what an array gives while its thread is being terminated, is read as nothing: the C++
// wrapper would end the process for it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

namespace fsq {

// A name: a string of one character a byte (see JsBuilder::Bytes).
std::string BytesOf(const Napi::Value& value);

inline std::string TextOf(const Napi::Value& value) {
  return value.IsEmpty() ? std::string() : value.As<Napi::String>().Utf8Value();
}
inline int64_t IntegerOf(const Napi::Value& value) {
  return value.IsEmpty() ? 0 : value.As<Napi::Number>().Int64Value();
}
inline bool FlagOf(const Napi::Value& value) {
  return !value.IsEmpty() && value.As<Napi::Boolean>().Value();
}

// The numbers of a Float64Array; null: it is none.
const double* NumbersOf(const Napi::Value& value, size_t* length);

}  // namespace fsq
