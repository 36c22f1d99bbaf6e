#include "names/time_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

namespace fsq {
namespace {

constexpr int kBaseYear = 1900;
constexpr size_t kFractionDigits = 6;

// Pads with leading zeros to at least `digits` digits.
void AppendNumber(std::string* text, int value, size_t digits) {
  char buffer[16];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
  const auto size = static_cast<size_t>(written.ptr - buffer);
  if (size < digits) text->append(digits - size, '0');
  text->append(buffer, size);
}

// A conversion that is left to the C library, e.g. "%a" or "%-d".
void AppendByLibrary(std::string* text, const std::string& conversion, const struct tm& fields) {
  // A byte after the conversion distinguishes an empty result (%p in some locales) from one that did not fit.
  const std::string format = conversion + "|";
  std::vector<char> buffer(64);
  size_t size = 0;
  while ((size = ::strftime(buffer.data(), buffer.size(), format.c_str(), &fields)) == 0) {
    if (buffer.size() > 4096) return;
    buffer.resize(buffer.size() * 2);
  }
  text->append(buffer.data(), size - 1);
}

// The end of the conversion that starts at format[begin] == '%', including flags and width.
size_t ConversionEnd(std::string_view format, size_t begin) {
  size_t at = begin + 1;
  while (at < format.size() && std::strchr("-_0^#+:EO123456789", format[at]) != nullptr) at++;
  return at < format.size() ? at + 1 : at;
}

// The common conversions are written here, for two reasons: every C library then gives the same digits (for
// year 1, %Y is "1" in one and "0001" in another), and a pool thread does not read the environment (strftime
// calls tzset).
void AppendFields(std::string* text, std::string_view format, const struct tm& fields, int microseconds) {
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%' || at + 1 == format.size()) {
      text->push_back(format[at++]);
      continue;
    }
    const size_t end = ConversionEnd(format, at);
    const std::string_view conversion = format.substr(at, end - at);
    at = end;
    if (conversion == "%Y") {
      AppendNumber(text, fields.tm_year + kBaseYear, 4);
    } else if (conversion == "%m") {
      AppendNumber(text, fields.tm_mon + 1, 2);
    } else if (conversion == "%d") {
      AppendNumber(text, fields.tm_mday, 2);
    } else if (conversion == "%H") {
      AppendNumber(text, fields.tm_hour, 2);
    } else if (conversion == "%M") {
      AppendNumber(text, fields.tm_min, 2);
    } else if (conversion == "%S") {
      AppendNumber(text, fields.tm_sec, 2);
    } else if (conversion == "%j") {
      AppendNumber(text, fields.tm_yday + 1, 3);
    } else if (conversion == "%f") {
      AppendNumber(text, microseconds, kFractionDigits);
    } else if (conversion == "%%") {
      text->push_back('%');
    } else {
      AppendByLibrary(text, std::string(conversion), fields);
    }
  }
}

std::optional<int> TakeDigits(std::string_view* text, size_t digits) {
  if (text->size() < digits) return std::nullopt;
  int value = 0;
  for (size_t at = 0; at < digits; at++) {
    const char byte = (*text)[at];
    if (byte < '0' || byte > '9') return std::nullopt;
    value = value * 10 + (byte - '0');
  }
  text->remove_prefix(digits);
  return value;
}

// Parses a format that consists only of fixed-width numbers and literal bytes. False: the format has other
// conversions (`*simple` is false), or the text does not fit.
bool ParseSimple(std::string_view format, std::string_view text, struct tm* fields, int* microseconds,
                 bool* simple) {
  *simple = true;
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%' || at + 1 == format.size()) {
      if (text.empty() || text.front() != format[at++]) return false;
      text.remove_prefix(1);
      continue;
    }
    const char conversion = format[at + 1];
    at += 2;
    if (conversion == '%') {
      if (text.empty() || text.front() != '%') return false;
      text.remove_prefix(1);
      continue;
    }
    const size_t digits = conversion == 'Y' ? 4 : conversion == 'f' ? kFractionDigits : 2;
    if (std::strchr("YmdHMSf", conversion) == nullptr) {
      *simple = false;
      return false;
    }
    const std::optional<int> value = TakeDigits(&text, digits);
    if (!value) return false;
    switch (conversion) {
      case 'Y':
        fields->tm_year = *value - kBaseYear;
        break;
      case 'm':
        fields->tm_mon = *value - 1;
        break;
      case 'd':
        fields->tm_mday = *value;
        break;
      case 'H':
        fields->tm_hour = *value;
        break;
      case 'M':
        fields->tm_min = *value;
        break;
      case 'S':
        fields->tm_sec = *value;
        break;
      default:
        *microseconds = *value;
        break;
    }
  }
  return text.empty();
}

// Calls strptime for the parts between the %f conversions, which it does not know.
bool ParseByLibrary(const std::string& format, const std::string& text, struct tm* fields,
                    int* microseconds) {
  const char* rest = text.c_str();
  std::string stretch;
  for (size_t at = 0;;) {
    const bool at_end = at >= format.size();
    const size_t end = at_end || format[at] != '%' ? at + 1 : ConversionEnd(format, at);
    const std::string_view piece =
        at_end ? std::string_view() : std::string_view(format).substr(at, end - at);
    if (!at_end && piece != "%f") {
      stretch.append(piece);
      at = end;
      continue;
    }
    if (!stretch.empty()) rest = ::strptime(rest, stretch.c_str(), fields);
    if (rest == nullptr) return false;
    stretch.clear();
    if (at_end) return *rest == '\0';
    std::string_view digits(rest);
    const std::optional<int> value = TakeDigits(&digits, kFractionDigits);
    if (!value) return false;
    *microseconds = *value;
    rest += kFractionDigits;
    at = end;
  }
}

bool SameFields(const struct tm& left, const struct tm& right) {
  return left.tm_year == right.tm_year && left.tm_mon == right.tm_mon && left.tm_mday == right.tm_mday &&
         left.tm_hour == right.tm_hour && left.tm_min == right.tm_min && left.tm_sec == right.tm_sec;
}

// mktime(3) with a result that distinguishes an error from the second before the epoch.
std::optional<time_t> LocalInstant(const struct tm& fields, int daylight_saving, struct tm* normalised) {
  *normalised = fields;
  normalised->tm_isdst = daylight_saving;
  normalised->tm_wday = -1;
  const time_t seconds = ::mktime(normalised);
  if (seconds == -1 && normalised->tm_wday == -1) return std::nullopt;
  return seconds;
}

struct Candidate {
  time_t seconds;
  struct tm zone;  // its normalised fields, with the zone of that instant
};

// The instants with these fields, the later one first: in local time an hour can occur twice.
std::vector<Candidate> InstantsOf(const struct tm& fields, bool utc) {
  struct tm copy = fields;
  if (utc) {
    const time_t seconds = ::timegm(&copy);
    return {{seconds, copy}};
  }
  std::vector<Candidate> found;
  for (const int daylight_saving : {-1, 0, 1}) {
    const std::optional<time_t> seconds = LocalInstant(fields, daylight_saving, &copy);
    if (seconds && SameFields(copy, fields)) found.push_back({*seconds, copy});
  }
  std::sort(found.begin(), found.end(),
            [](const Candidate& left, const Candidate& right) { return left.seconds > right.seconds; });
  if (!found.empty()) return found;
  // The clocks skip this hour, so no local time has these fields. Take what mktime makes of them.
  if (const std::optional<time_t> seconds = LocalInstant(fields, -1, &copy))
    found.push_back({*seconds, copy});
  return found;
}

Instant InstantOf(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return {now.tv_sec, static_cast<int32_t>(now.tv_nsec / 1000)};
}

}  // namespace

Instant Now() {
  return InstantOf(CLOCK_REALTIME);
}

Instant AboutNow() {
#ifdef CLOCK_REALTIME_COARSE
  return InstantOf(CLOCK_REALTIME_COARSE);
#else
  return Now();
#endif
}

std::string FormatTime(const std::string& format, Instant instant, bool utc) {
  struct tm fields {};
  const auto seconds = static_cast<time_t>(instant.seconds);
  std::string text;
  if ((utc ? ::gmtime_r(&seconds, &fields) : ::localtime_r(&seconds, &fields)) == nullptr) return text;
  AppendFields(&text, format, fields, instant.microseconds);
  return text;
}

std::optional<Instant> ParseTime(const std::string& format, const std::string& text, bool utc) {
  if (text.find('\0') != std::string::npos) return std::nullopt;
  struct tm fields {};
  fields.tm_mday = 1;
  fields.tm_isdst = -1;
  int microseconds = 0;
  bool simple = false;
  if (!ParseSimple(format, text, &fields, &microseconds, &simple)) {
    if (simple) return std::nullopt;
    fields = {};
    fields.tm_mday = 1;
    microseconds = 0;
    if (!ParseByLibrary(format, text, &fields, &microseconds)) return std::nullopt;
  }
  // Year 0 has a number, but no implementation of the standard reads it as a date.
  if (fields.tm_year + kBaseYear < 1) return std::nullopt;

  // timegm normalises the fields to a real date (30 February becomes 1 March), so only a real date formats
  // back to the same text.
  struct tm real = fields;
  ::timegm(&real);
  // A format with a zone distinguishes the two occurrences of an hour. Any other format takes the first
  // candidate.
  for (const Candidate& candidate : InstantsOf(fields, utc)) {
    real.tm_isdst = candidate.zone.tm_isdst;
    real.tm_gmtoff = candidate.zone.tm_gmtoff;
    real.tm_zone = candidate.zone.tm_zone;
    std::string again;
    AppendFields(&again, format, real, microseconds);
    if (again == text) return Instant{candidate.seconds, microseconds};
  }
  return std::nullopt;
}

}  // namespace fsq
