// Names of any bytes, one a line: the order is a total one, it is that of the standard, and a listing has it.
#include <algorithm>
#include <string>
#include <vector>

#include "expect.h"
#include "fuzz_target.h"
#include "names/name_order.h"
#include "queue/listing.h"

namespace {

constexpr size_t kMostNames = 8;
constexpr size_t kLongestName = 255;
constexpr size_t kFields = 5;

// The order again, as plainly as the standard says it.
struct Plain {
  explicit Plain(const std::string& text) : name(text) {
    if (text.empty()) return;
    size_t begin = 1;
    std::vector<std::string> fields;
    while (fields.size() < 2) {
      const size_t end = text.find(text[0], begin);
      if (end == std::string::npos) return;
      fields.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    malformed = static_cast<size_t>(std::count(text.begin() + 1, text.end(), text[0])) + 1 < kFields;
    timestamp = fields[0];
    entropy = fields[1];
    rest = text.substr(begin - 1);
    numbered = !entropy.empty() && entropy.find_first_not_of("0123456789") == std::string::npos;
    if (!numbered) return;
    entropy.erase(0, std::min(entropy.find_first_not_of('0'), entropy.size()));
    digits = entropy.size();
  }

  bool IsBefore(const Plain& other) const {
    if (malformed || other.malformed)
      return malformed == other.malformed ? name < other.name : other.malformed;
    if (timestamp != other.timestamp) return timestamp < other.timestamp;
    if (numbered != other.numbered) return numbered;
    if (digits != other.digits) return digits < other.digits;
    if (entropy != other.entropy) return entropy < other.entropy;
    if (rest != other.rest) return rest < other.rest;
    return name < other.name;
  }

  std::string name;
  bool malformed = true;
  bool numbered = false;
  size_t digits = 0;
  std::string timestamp;
  std::string entropy;
  std::string rest;
};

bool IsBefore(const std::string& left, const std::string& right) {
  return fsq::ComesBefore(left, fsq::KeyOf(left), right, fsq::KeyOf(right));
}

void CheckFields(const std::string& name) {
  for (int index = 0;; index++) {
    size_t begin = 0;
    size_t end = 0;
    if (!fsq::FindField(name, index, &begin, &end)) return;
    EXPECT(begin <= end && end <= name.size());
    EXPECT(name.find(name[0], begin) >= end);
  }
}

}  // namespace

std::span<const std::string_view> fsq::test::FuzzPieces() {
  static constexpr std::string_view kPieces[] = {"\n",
                                                 "\n_20120710213904_0_1_h_0\n",
                                                 "_",
                                                 "_",
                                                 "_",
                                                 "0",
                                                 "1",
                                                 "10",
                                                 "18446744073709551615",
                                                 "9999999999999999999",
                                                 "@",
                                                 "%5f",
                                                 "a",
                                                 "\xff",
                                                 "20120710213904",
                                                 "__"};
  return kPieces;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> names;
  for (size_t begin = 0; begin < input.size() && names.size() < kMostNames;) {
    const size_t end = std::min(input.find('\n', begin), input.size());
    names.push_back(input.substr(begin, std::min(end - begin, kLongestName)));
    begin = end + 1;
  }
  for (const std::string& left : names) {
    CheckFields(left);
    for (const std::string& right : names) {
      EXPECT(IsBefore(left, right) == Plain(left).IsBefore(Plain(right)));
      EXPECT(left == right || IsBefore(left, right) != IsBefore(right, left));
    }
  }
  const auto listing = fsq::Listing::Of(names);
  for (size_t at = 1; at < listing->size(); at++)
    EXPECT(IsBefore(std::string(listing->at(at - 1).view()), std::string(listing->at(at).view())));
  return 0;
}
