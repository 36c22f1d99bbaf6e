#include "queue/course.h"

#include <random>
#include <vector>

#include "expect.h"
#include "tests.h"

namespace fsq::test {
namespace {

using Outcome = Course::Outcome;

constexpr int64_t kMs = 1'000'000;

enum class Item { kFree, kHeld, kGone, kTaken };

// One try of the next name, in a queue that consists of `items`. False: no name is left.
bool Step(Course& course, std::vector<Item>& items, std::vector<size_t>& claimed, int64_t now_ns) {
  if (course.IsRoundOver(now_ns)) course.BeginRound(now_ns);
  const auto next = course.Next();
  if (!next) return false;
  Item& item = items[*next];
  if (item == Item::kFree) claimed.push_back(*next);
  course.Note(item == Item::kFree   ? Outcome::kClaimed
              : item == Item::kHeld ? Outcome::kHeld
              : item == Item::kGone ? Outcome::kGone
                                    : Outcome::kTaken,
              true);
  if (item == Item::kFree) item = Item::kHeld;
  return true;
}

}  // namespace

// Names that were removed, also many in a row, are no sign of other workers.
void AWorkerAloneLeapsOverNothing() {
  std::vector<Item> items(5'000, Item::kFree);
  for (size_t at = 1'000; at < 2'000; at++) items[at] = Item::kGone;
  Course course(items.size());
  std::vector<size_t> claimed;
  while (Step(course, items, claimed, 1)) {
  }
  EXPECT(course.Ended() && claimed.size() == 4'000);
  for (size_t at = 1; at < claimed.size(); at++) EXPECT(claimed[at - 1] < claimed[at]);
}

// Names that others have taken, which have left the directory, are such a sign.
void AWorkerAmongOthersLeapsOverNamesThatTheyHaveTaken() {
  std::vector<Item> items(5'000, Item::kFree);
  for (size_t at = 100; at < 200; at++) items[at] = Item::kTaken;
  Course course(items.size());
  std::vector<size_t> claimed;
  size_t tries = 0;
  for (; claimed.size() <= 100 && Step(course, items, claimed, 1); tries++) {
  }
  EXPECT(claimed.back() > 200 && tries < 110);
  // It comes back to the names that it has leapt over.
  while (Step(course, items, claimed, 1)) {
  }
  EXPECT(course.Ended() && claimed.size() == 4'900);
}

// Workers that take turns at random: each item is claimed once, nearly every try is a claim, and each course
// ends.
void WorkersSeldomMeet() {
  std::mt19937 random(7);
  constexpr size_t kWorkers = 8;
  std::vector<Item> items(20'000, Item::kFree);
  std::vector<Course> courses(kWorkers, Course(items.size()));
  std::vector<std::vector<size_t>> claimed(kWorkers);
  std::vector<size_t> finished(kWorkers, 0);
  std::vector<bool> ended(kWorkers, false);
  size_t tries = 0;
  for (size_t left = kWorkers; left > 0;) {
    const size_t worker = random() % kWorkers;
    if (ended[worker]) continue;
    // A worker drops what a listing would show to be gone, and finishes all but the last items that it has
    // claimed.
    for (size_t run = 0; run < 8; run++) {
      if (courses[worker].IsRoundOver(1))
        courses[worker].Drop([&](size_t at) { return items[at] == Item::kGone; });
      tries++;
      if (Step(courses[worker], items, claimed[worker], 1)) continue;
      EXPECT(courses[worker].Ended());
      ended[worker] = true;
      left--;
      break;
    }
    const size_t kept = ended[worker] ? 0 : 32;
    while (claimed[worker].size() - finished[worker] > kept)
      items[claimed[worker][finished[worker]++]] = Item::kGone;
  }
  size_t total = 0;
  for (const auto& each : claimed) total += each.size();
  EXPECT(total == items.size());
  for (const Item item : items) EXPECT(item == Item::kGone);
  EXPECT(tries < 3 * items.size());
}

// An item that becomes free behind a worker is tried within a second, and before any other.
void TheFrontIsLookedAtAgain() {
  std::vector<Item> items(100'000, Item::kFree);
  // Another worker holds the first item, and parts of the rest.
  for (size_t at = 0; at < items.size(); at++) {
    if (at == 0 || at / 64 % 3 == 1) items[at] = Item::kHeld;
  }
  Course course(items.size());
  std::vector<size_t> claimed;
  for (size_t step = 0; step < 1'000; step++) EXPECT(Step(course, items, claimed, 1));
  EXPECT(claimed.front() == 1);
  items[0] = Item::kFree;
  const size_t before = claimed.size();
  for (size_t step = 0; step < 100; step++) EXPECT(Step(course, items, claimed, 900 * kMs));
  EXPECT(claimed[before] == 0);
}

// A claim that was released is tried again.
void AReleasedNameIsTriedAgain() {
  std::vector<Item> items(10, Item::kFree);
  Course course(items.size());
  std::vector<size_t> claimed;
  while (Step(course, items, claimed, 1)) {
  }
  EXPECT(course.Ended());
  items[3] = Item::kFree;
  course.Reopen(3);
  EXPECT(!course.Ended() && Step(course, items, claimed, 1) && claimed.back() == 3 && course.Ended());
}

}  // namespace fsq::test
