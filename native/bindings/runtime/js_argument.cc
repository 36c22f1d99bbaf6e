#include "bindings/runtime/js_argument.h"

namespace fsq {

void JsArguments::Refuse(const char* message) {
  // Node-API refuses this call, too, if JavaScript can no longer run or has already thrown.
  if (ok_) (void)napi_throw_type_error(env_, nullptr, message);
  ok_ = false;
}

std::string JsArgument::String(ReadString read) const {
  constexpr const char* kMessage = "expected a string";
  // Large enough for any name, so that one call is enough.
  std::array<char, 512> buffer;
  size_t length = 0;
  if (!all_.Try(read(all_.env_, value_, buffer.data(), buffer.size(), &length), kMessage)) return {};
  // A string that does not fit is cut between two characters, of at most four bytes each.
  if (length + 4 < buffer.size()) return {buffer.data(), length};
  if (!all_.Try(read(all_.env_, value_, nullptr, 0, &length), kMessage)) return {};
  std::string text(length, '\0');
  return all_.Try(read(all_.env_, value_, text.data(), length + 1, &length), kMessage) ? text : std::string();
}

std::span<const double> JsArgument::Numbers() const {
  size_t count = 0;
  void* const numbers = Elements(napi_float64_array, &count, "expected a Float64Array");
  return {static_cast<const double*>(numbers), count};
}

std::span<char> JsArgument::Memory() const {
  size_t count = 0;
  void* const bytes = Elements(napi_uint8_array, &count, "expected a Uint8Array");
  return {static_cast<char*>(bytes), count};
}

// Null if the value is of another type or has no elements.
void* JsArgument::Elements(napi_typedarray_type type, size_t* count, const char* message) const {
  napi_typedarray_type found = napi_int8_array;
  void* data = nullptr;
  if (!all_.Try(napi_get_typedarray_info(all_.env_, value_, &found, count, &data, nullptr, nullptr), message))
    return nullptr;
  if (found == type) return data;
  all_.Refuse(message);
  *count = 0;
  return nullptr;
}

JsReference JsArgument::Reference() const {
  napi_ref reference = nullptr;
  (void)all_.Try(napi_create_reference(all_.env_, value_, 1, &reference), "expected an object");
  return JsReference(reference, {all_.env_});
}

JsArgument JsArgument::Element(size_t index) const {
  napi_value element = nullptr;
  (void)all_.Try(napi_get_element(all_.env_, value_, static_cast<uint32_t>(index), &element),
                 "expected an array");
  return {all_, element};
}

JsArgument JsArgument::Property(const char* key) const {
  napi_value property = nullptr;
  (void)all_.Try(napi_get_named_property(all_.env_, value_, key, &property), "expected an object");
  return {all_, property};
}

}  // namespace fsq
