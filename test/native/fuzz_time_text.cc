// A format and a text, one a line, both of any bytes: what is read as a time is what that time is written as.
#include <algorithm>
#include <functional>
#include <string>

#include "expect.h"
#include "fuzz_target.h"
#include "names/time_text.h"

namespace {

constexpr uint64_t kSecondsOfAges = uint64_t{400} * 365 * 86'400;

void CheckReading(const std::string& format, const std::string& text) {
  const auto instant = fsq::ParseTime(format, text, true);
  (void)fsq::ParseTime(format, text, false);
  if (!instant) return;
  EXPECT(instant->microseconds >= 0 && instant->microseconds < 1'000'000);
  EXPECT(fsq::FormatTime(format, *instant, true) == text);
}

bool IsComplete(const std::string& format) {
  return format.find("%Y%m%d%H%M%S") == 0 && format.find('%', 12) == std::string::npos;
}

}  // namespace

std::span<const std::string_view> fsq::test::FuzzPieces() {
  static constexpr std::string_view kPieces[] = {"\n",
                                                 "%Y%m%d%H%M%S",
                                                 "%Y%m%d%H%M%S\n20120710213904",
                                                 "%Y-%m-%dT%H:%M:%S.%f\n",
                                                 "%Y",
                                                 "%m",
                                                 "%d",
                                                 "%H",
                                                 "%M",
                                                 "%S",
                                                 "%f",
                                                 "%j",
                                                 "%y",
                                                 "%C",
                                                 "%e",
                                                 "%b",
                                                 "%a",
                                                 "%p",
                                                 "%I",
                                                 "%s",
                                                 "%z",
                                                 "%Z",
                                                 "%G",
                                                 "%V",
                                                 "%u",
                                                 "%U",
                                                 "%%",
                                                 "%-d",
                                                 "%_H",
                                                 "%10Y",
                                                 "%E",
                                                 "%",
                                                 "-",
                                                 " ",
                                                 "0",
                                                 "1",
                                                 "12",
                                                 "2012",
                                                 "0710",
                                                 "000120",
                                                 "9999",
                                                 "Jul",
                                                 "AM",
                                                 "UTC",
                                                 "+0000"};
  return kPieces;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), size);
  // A setting cannot hold a NUL.
  const std::string format = input.substr(0, std::min(end, input.find('\0')));
  CheckReading(format, input.substr(std::min(end + 1, size)));

  // Its own output, as it is and with one byte changed.
  const uint64_t hash = std::hash<std::string>()(input);
  const fsq::Instant instant{static_cast<int64_t>(hash % kSecondsOfAges) - int64_t{86'400} * 365 * 100,
                             static_cast<int32_t>(hash % 1'000'000)};
  std::string written = fsq::FormatTime(format, instant, true);
  CheckReading(format, written);
  if (IsComplete(format)) EXPECT(fsq::ParseTime(format, written, true)->seconds == instant.seconds);
  if (written.empty()) return 0;
  written[hash % written.size()] = static_cast<char>(hash >> 32);
  CheckReading(format, written);
  return 0;
}
