// Plain names, which most items have: nothing in them needs decoding.
#pragma once

#include <cstdint>
#include <string_view>

namespace fsq {

// The tries of a plain name: a valid item name (fsq standard, section 2) of printable ASCII, with the usual
// delimiter, a timestamp in the format %Y%m%d%H%M%S and no escape. -1 for any other name, which src/name/
// parses.
int64_t PlainTries(std::string_view name, char escape);

}  // namespace fsq
