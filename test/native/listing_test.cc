#include "queue/listing.h"

#include <random>
#include <string>
#include <vector>

#include "expect.h"
#include "names/name_order.h"
#include "tests.h"

namespace fsq::test {
namespace {

bool IsSorted(const Listing& listing) {
  for (size_t at = 1; at < listing.size(); at++) {
    const auto before = listing.at(at - 1).view();
    const auto after = listing.at(at).view();
    if (!ComesBefore(before, KeyOf(before), after, KeyOf(after))) return false;
  }
  return true;
}

}  // namespace

// More names than are sorted at once. Their entropies are of all lengths, so the order of bytes, in which
// they come, is another one.
void LongListingsAreSorted() {
  std::mt19937_64 random(7);
  std::vector<std::string> names;
  for (int at = 0; at < 50'000; at++)
    names.push_back("_20260101_" + std::to_string(random() >> (random() % 64)) + "_1_h_0");
  const auto listing = Listing::Of(names);
  EXPECT(listing->size() > 40'000 && IsSorted(*listing));
}

}  // namespace fsq::test
