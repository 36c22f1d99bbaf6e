// Decimal digits, of ASCII and whatever the locale.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace fsq {

constexpr bool IsDigit(char byte) {
  return byte >= '0' && byte <= '9';
}

// An empty text has none.
inline bool AreDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit);
}

// `digits`: nothing else, and at most 18 of them.
inline int64_t NumberOf(std::string_view digits) {
  int64_t number = 0;
  (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace fsq
