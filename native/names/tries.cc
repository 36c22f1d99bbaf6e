#include "names/tries.h"

#include "names/digits.h"
#include "names/name_order.h"

namespace fsq {
namespace {

constexpr int kField = 4;
constexpr size_t kMostDigits = 15;

}  // namespace

std::optional<int64_t> TriesOf(std::string_view name) {
  size_t begin = 0;
  size_t end = 0;
  if (!FindField(name, kField, &begin, &end)) return std::nullopt;
  const std::string_view tries = name.substr(begin, end - begin);
  if (!AreDigits(tries) || tries.size() > kMostDigits) return std::nullopt;
  return NumberOf(tries);
}

std::optional<std::string> WithTriesChanged(std::string_view name, int step) {
  const auto tries = TriesOf(name);
  size_t begin = 0;
  size_t end = 0;
  if (!tries || *tries + step < 0 || !FindField(name, kField, &begin, &end)) return std::nullopt;
  return std::string(name.substr(0, begin)) + std::to_string(*tries + step) + std::string(name.substr(end));
}

bool AreEqualUntried(std::string_view left, std::string_view right) {
  size_t begin = 0;
  size_t end = 0;
  if (!FindField(left, kField, &begin, &end) || left.substr(0, begin) != right.substr(0, begin)) return false;
  size_t right_end = 0;
  return FindField(right, kField, &begin, &right_end) && left.substr(end) == right.substr(right_end);
}

}  // namespace fsq
