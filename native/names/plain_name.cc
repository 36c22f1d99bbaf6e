#include "names/plain_name.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "names/digits.h"
#include "names/name_order.h"
#include "names/tries.h"

namespace fsq {
namespace {

constexpr char kDelimiter = '_';
constexpr size_t kTimestampDigits = 14;

// True if formatting the parsed fields gives the same text back, as isDefaultTimestamp of
// src/name/timestamp.ts checks.
bool IsTimestamp(std::string_view text) {
  if (text.size() != kTimestampDigits || !AreDigits(text)) return false;
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int64_t year = NumberOf(text.substr(0, 4));
  const int64_t month = NumberOf(text.substr(4, 2));
  const int64_t day = NumberOf(text.substr(6, 2));
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const bool is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const int days = kDays[static_cast<size_t>(month - 1)] + (month == 2 && is_leap_year ? 1 : 0);
  return day <= days && text.substr(8, 2) <= "23" && text.substr(10, 2) <= "59" && text.substr(12, 2) <= "59";
}

std::string_view TimestampOf(std::string_view name) {
  size_t begin = 0;
  size_t end = 0;
  return FindField(name, 0, &begin, &end) ? name.substr(begin, end - begin) : std::string_view();
}

}  // namespace

int64_t PlainTries(std::string_view name, char escape) {
  const auto is_plain = [escape](char byte) { return byte >= ' ' && byte <= '~' && byte != escape; };
  if (name.empty() || name.front() != kDelimiter || !std::all_of(name.begin(), name.end(), is_plain))
    return -1;
  return IsTimestamp(TimestampOf(name)) ? TriesOf(name).value_or(-1) : -1;
}

}  // namespace fsq
