// The order of item names, and where their fields are.
#pragma once

#include <cstdint>
#include <string_view>

namespace fsq {

// Where the fields of a name end, found once so that sorting a million names splits none of them twice.
struct NameKey {
  enum class Kind : uint8_t { kNumbered, kOpaque, kMalformed };

  uint64_t entropy = 0;  // its value, when it has at most 19 significant digits; otherwise UINT64_MAX
  uint16_t timestamp_end = 0;
  uint16_t entropy_end = 0;
  Kind kind = Kind::kMalformed;
};

// Splits a name at its own first byte. Fewer than five fields: malformed.
NameKey KeyOf(std::string_view name);

// FIFO (fsq standard, section 2): the timestamp as bytes; entropies of digits only by value, before all
// others by bytes; the rest as bytes; malformed names last. A total order.
bool ComesBefore(std::string_view left, const NameKey& left_key, std::string_view right,
                 const NameKey& right_key);

// The fields of a well-formed name: [begin, end) of field `index`, 0 being the timestamp. False: no such
// field.
bool FindField(std::string_view name, int index, size_t* begin, size_t* end);

}  // namespace fsq
