// The order of item names, and the positions of their fields.
#pragma once

#include <cstdint>
#include <string_view>

namespace fsq {

// Where the first fields of a name end. Found once, so that sorting a million names splits none of them
// twice.
struct NameKey {
  enum class Kind : uint8_t { kNumbered, kOpaque, kMalformed };

  uint64_t entropy = 0;  // the value of up to 19 significant digits; UINT64_MAX for more
  uint16_t timestamp_end = 0;
  uint16_t entropy_end = 0;
  Kind kind = Kind::kMalformed;
};

// The first byte of a name is its delimiter. A name with fewer than five fields is malformed.
NameKey KeyOf(std::string_view name);

// FIFO (fsq standard, section 2). Timestamps compare as bytes. Entropies that are all digits compare by value
// and come before all other entropies, which compare as bytes. The rest of the name compares as bytes.
// Malformed names come last. A total order.
bool ComesBefore(std::string_view left, const NameKey& left_key, std::string_view right,
                 const NameKey& right_key);

// Finds the field `index` of a well-formed name as [begin, end); 0 is the timestamp. False: there is no such
// field.
bool FindField(std::string_view name, int index, size_t* begin, size_t* end);

}  // namespace fsq
