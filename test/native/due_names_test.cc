#include "queue/due_names.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "expect.h"
#include "tests.h"

namespace fsq::test {

void DueNamesComeInOrder() {
  DueNames due;
  EXPECT(due.next_due_ms() == 0);
  EXPECT(due.Add(20, "b") && due.Add(10, "a") && due.Add(20, "c") && due.Add(30, "d"));
  EXPECT(due.next_due_ms() == 10);
  std::vector<std::string> names;
  due.Take(9, 10, &names);
  EXPECT(names.empty());
  due.Take(20, 2, &names);
  EXPECT((names == std::vector<std::string>{"a", "b"}));
  EXPECT(due.next_due_ms() == 20);
  due.Take(30, 10, &names);
  EXPECT((names == std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT(due.next_due_ms() == 0);
}

// Against a sorted list, with so many names that the arena is compacted again and again.
void DueNamesAreNeitherLostNorMixedUp() {
  std::mt19937 random(7);
  DueNames due;
  std::vector<std::pair<int64_t, std::string>> expected;
  for (int round = 0; round < 200; round++) {
    for (int at = 0; at < 100; at++) {
      const int64_t when = round * 10 + static_cast<int64_t>(random() % 500) + 1;
      expected.emplace_back(when, std::to_string(round) + "-" + std::to_string(at) + std::string(40, 'x'));
      EXPECT(due.Add(when, expected.back().second));
    }
    std::stable_sort(expected.begin(), expected.end(),
                     [](const auto& left, const auto& right) { return left.first < right.first; });
    EXPECT(due.next_due_ms() == expected.front().first);
    std::vector<std::string> names;
    const size_t limit = random() % 250;
    due.Take(round * 10, limit, &names);
    EXPECT(names.size() <= limit);
    for (const std::string& name : names) {
      EXPECT(expected.front().first <= round * 10 && expected.front().second == name);
      expected.erase(expected.begin());
    }
    if (names.size() < limit) EXPECT(expected.empty() || expected.front().first > round * 10);
  }
}

}  // namespace fsq::test
