// Timestamps: a strict strftime(3) and strptime(3), with %f for microseconds.
#pragma once

#include <time.h>

#include <cstdint>
#include <optional>
#include <string>

namespace fsq {

struct Instant {
  int64_t seconds = 0;
  int32_t microseconds = 0;
};

Instant Now();
// May be some milliseconds old, and costs a quarter of Now().
Instant AboutNow();

// An empty result means that this instant cannot be formatted.
std::string FormatTime(const std::string& format, Instant instant, bool utc);

// The instant, if and only if formatting the parsed fields gives `text` back. When an hour occurs twice, the
// later instant.
std::optional<Instant> ParseTime(const std::string& format, const std::string& text, bool utc);

}  // namespace fsq
