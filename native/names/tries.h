// The field of a name that counts the tries of its item.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fsq {

// Empty if the name has no such field, or the field is not 1 to 15 digits.
std::optional<int64_t> TriesOf(std::string_view name);

// The same name with its tries changed by `step`. Empty if the name has no valid tries, or fewer than the
// step would take away.
std::optional<std::string> WithTriesChanged(std::string_view name, int step);

// Whether two names are equal but for their tries.
bool AreEqualUntried(std::string_view left, std::string_view right);

}  // namespace fsq
