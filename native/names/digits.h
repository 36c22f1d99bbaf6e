// Decimal digits, of ASCII and whatever the locale.
#pragma once

namespace fsq {

constexpr bool IsDigit(char byte) {
  return byte >= '0' && byte <= '9';
}

}  // namespace fsq
