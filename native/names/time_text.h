// Timestamps: strftime(3) and strptime(3), with %f for microseconds, made strict.
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
// Some milliseconds ago, perhaps: a quarter of the price.
Instant AboutNow();

// An empty result: the format makes nothing of this instant.
std::string FormatTime(const std::string& format, Instant instant, bool utc);

// The instant, if and only if formatting the parsed fields gives `text` back. Of an hour that comes twice,
// the later one.
std::optional<Instant> ParseTime(const std::string& format, const std::string& text, bool utc);

}  // namespace fsq
