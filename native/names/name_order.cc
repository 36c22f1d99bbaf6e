#include "names/name_order.h"

#include <algorithm>
#include <limits>

#include "names/digits.h"

namespace fsq {
namespace {

constexpr int kItemFields = 5;
constexpr size_t kMaxValueDigits = 19;  // 10^19 - 1 fits into 64 bits

std::string_view EntropyOf(std::string_view name, const NameKey& key) {
  return name.substr(key.timestamp_end + size_t{1}, key.entropy_end - key.timestamp_end - size_t{1});
}

std::string_view WithoutLeadingZeros(std::string_view digits) {
  return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

int CompareEntropies(std::string_view left, const NameKey& left_key, std::string_view right,
                     const NameKey& right_key) {
  if (left_key.kind != right_key.kind) return left_key.kind < right_key.kind ? -1 : 1;
  if (left_key.kind == NameKey::Kind::kOpaque)
    return EntropyOf(left, left_key).compare(EntropyOf(right, right_key));
  if (left_key.entropy != right_key.entropy) return left_key.entropy < right_key.entropy ? -1 : 1;
  if (left_key.entropy != std::numeric_limits<uint64_t>::max()) return 0;
  const std::string_view left_digits = WithoutLeadingZeros(EntropyOf(left, left_key));
  const std::string_view right_digits = WithoutLeadingZeros(EntropyOf(right, right_key));
  if (left_digits.size() != right_digits.size()) return left_digits.size() < right_digits.size() ? -1 : 1;
  return left_digits.compare(right_digits);
}

}  // namespace

bool FindField(std::string_view name, int index, size_t* begin, size_t* end) {
  if (name.empty()) return false;
  const char delimiter = name.front();
  size_t start = 1;
  for (; index > 0; index--) {
    const size_t next = name.find(delimiter, start);
    if (next == std::string_view::npos) return false;
    start = next + 1;
  }
  *begin = start;
  *end = std::min(name.find(delimiter, start), name.size());
  return true;
}

NameKey KeyOf(std::string_view name) {
  NameKey key;
  if (name.empty() || std::count(name.begin(), name.end(), name.front()) < kItemFields) return key;
  const char delimiter = name.front();
  key.timestamp_end = static_cast<uint16_t>(name.find(delimiter, 1));
  key.entropy_end = static_cast<uint16_t>(name.find(delimiter, key.timestamp_end + size_t{1}));
  const std::string_view entropy = EntropyOf(name, key);
  if (!AreDigits(entropy)) {
    key.kind = NameKey::Kind::kOpaque;
    return key;
  }
  key.kind = NameKey::Kind::kNumbered;
  const std::string_view digits = WithoutLeadingZeros(entropy);
  if (digits.size() > kMaxValueDigits) {
    key.entropy = std::numeric_limits<uint64_t>::max();
  } else {
    for (const char digit : digits) key.entropy = key.entropy * 10 + static_cast<uint64_t>(digit - '0');
  }
  return key;
}

bool ComesBefore(std::string_view left, const NameKey& left_key, std::string_view right,
                 const NameKey& right_key) {
  const bool left_malformed = left_key.kind == NameKey::Kind::kMalformed;
  const bool right_malformed = right_key.kind == NameKey::Kind::kMalformed;
  if (left_malformed != right_malformed) return right_malformed;
  if (left_malformed) return left < right;

  const int by_timestamp = left.substr(1, left_key.timestamp_end - size_t{1})
                               .compare(right.substr(1, right_key.timestamp_end - size_t{1}));
  if (by_timestamp != 0) return by_timestamp < 0;
  const int by_entropy = CompareEntropies(left, left_key, right, right_key);
  if (by_entropy != 0) return by_entropy < 0;
  const int by_rest = left.substr(left_key.entropy_end).compare(right.substr(right_key.entropy_end));
  if (by_rest != 0) return by_rest < 0;
  return left < right;
}

}  // namespace fsq
