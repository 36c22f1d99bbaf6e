// Decimal digits, ASCII only, independent of the locale.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace fsq {

constexpr bool IsDigit(char byte) {
  return byte >= '0' && byte <= '9';
}

// False for an empty text.
inline bool AreDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

// `digits` must be digits only, at most 18 of them.
inline int64_t NumberOf(std::string_view digits) {
  int64_t number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace fsq
