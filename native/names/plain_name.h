// The names that most items have: nothing in them needs to be decoded.
#pragma once

#include <cstdint>
#include <string_view>

namespace fsq {

// The tries of a valid item name (fsq standard, section 2) of printable ASCII, with the usual delimiter, a
// timestamp as %Y%m%d%H%M%S writes it, and nothing escaped. -1: it is another name, or none; src/name/ knows.
int64_t PlainTries(std::string_view name, char escape);

}  // namespace fsq
