// The field of a name that counts how often its item has been tried.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fsq {

// None: the name has no such field, or that is not 1 to 15 digits.
std::optional<int64_t> TriesOf(std::string_view name);

// The same name with its tries changed by `step`; none: it has no such number.
std::optional<std::string> WithTriesChanged(std::string_view name, int step);

}  // namespace fsq
