#include "plain_name.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace fsq {
namespace {

constexpr char kDelimiter = '_';
constexpr size_t kTimestampDigits = 14;
constexpr size_t kMostTriesDigits = 15;

bool IsDigit(char byte) {
  return byte >= '0' && byte <= '9';
}

int NumberOf(std::string_view digits) {
  int number = 0;
  for (const char digit : digits) number = number * 10 + (digit - '0');
  return number;
}

// As formatting its fields gives the same text back.
bool IsTimestamp(std::string_view text) {
  if (text.size() != kTimestampDigits || !std::all_of(text.begin(), text.end(), IsDigit)) return false;
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int year = NumberOf(text.substr(0, 4));
  const int month = NumberOf(text.substr(4, 2));
  const int day = NumberOf(text.substr(6, 2));
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const bool is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  const int days = kDays[static_cast<size_t>(month - 1)] + (month == 2 && is_leap_year ? 1 : 0);
  return day <= days && text.substr(8, 2) <= "23" && text.substr(10, 2) <= "59" && text.substr(12, 2) <= "59";
}

// The field at the beginning of the text, which is cut off, delimiter included.
std::string_view TakeField(std::string_view* text) {
  const size_t end = std::min(text->find(kDelimiter), text->size());
  const std::string_view field = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return field;
}

}  // namespace

int64_t PlainTries(std::string_view name, char escape) {
  const auto is_plain = [escape](char byte) { return byte >= ' ' && byte <= '~' && byte != escape; };
  if (name.empty() || name.front() != kDelimiter || !std::all_of(name.begin(), name.end(), is_plain))
    return -1;
  std::string_view rest = name.substr(1);
  if (!IsTimestamp(TakeField(&rest))) return -1;
  for (int field = 0; field < 3; field++) TakeField(&rest);  // entropy, pid, host name
  // None, where there are fewer fields.
  const std::string_view tries = TakeField(&rest);
  if (tries.empty() || tries.size() > kMostTriesDigits || !std::all_of(tries.begin(), tries.end(), IsDigit))
    return -1;
  int64_t number = 0;
  for (const char digit : tries) number = number * 10 + (digit - '0');
  return number;
}

}  // namespace fsq
