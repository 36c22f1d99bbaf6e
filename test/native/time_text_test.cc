#include "names/time_text.h"

#include <string>

#include "expect.h"
#include "tests.h"

namespace fsq::test {
namespace {

const std::string kFormat = "%Y%m%d%H%M%S";

}  // namespace

void TimesAreReadStrictly() {
  const auto read = ParseTime(kFormat, "20120710213904", true);
  EXPECT(read && read->seconds == 1341956344 && read->microseconds == 0);
  const auto fraction = ParseTime("%s.%f", "1341956344.000120", true);
  EXPECT(!fraction || fraction->microseconds == 120);
  const auto microseconds = ParseTime("%H%M%S%f%Y%m%d", "21390400012020120710", true);
  EXPECT(microseconds && microseconds->seconds == 1341956344 && microseconds->microseconds == 120);
  for (const char* const text : {"", "2012071021390", "201207102139", "201207102139040", "20120710213904 ",
                                 " 2012071021390", "20120230213904", "20121310213904", "20120710243904",
                                 "00000101000000", "+0120710213904", "2012 710213904"})
    EXPECT(!ParseTime(kFormat, text, true));
  EXPECT(!ParseTime(kFormat, std::string("20120710213904\0", 15), true));
}

void TimesComeBackAsTheyWere() {
  for (const int64_t seconds :
       {int64_t{0}, int64_t{-1}, int64_t{1341956344}, int64_t{4102444799}, int64_t{-62135596800}}) {
    for (const bool utc : {true, false}) {
      const Instant instant{seconds, 999'999};
      const std::string text = FormatTime(kFormat + "%f", instant, utc);
      const auto again = ParseTime(kFormat + "%f", text, utc);
      EXPECT(again && again->seconds == seconds && again->microseconds == 999'999);
    }
  }
  // No year of this format has so many digits.
  EXPECT(!ParseTime(kFormat, FormatTime(kFormat, {int64_t{1} << 40, 0}, true), true));
}

}  // namespace fsq::test
