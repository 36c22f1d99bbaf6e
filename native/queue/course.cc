#include "queue/course.h"

#include <algorithm>

namespace fsq {
namespace {

// Far enough that eight processes seldom meet: each claims for some milliseconds before it comes to the place
// where the next one has landed.
constexpr size_t kLongestLeap = 256;
// Near the end of the names, leaps get shorter, and stop.
constexpr size_t kPartOfRest = 16;
constexpr size_t kShortestLeap = 8;
// One held item may be the long work of a slow worker. It is no reason to leave the order.
constexpr size_t kLostInARow = 2;
// Half of the second within which the oldest free item is to be claimed.
constexpr int64_t kLongestRoundNs = 500'000'000;

}  // namespace

Course::Course(size_t size) : open_(size, true), left_(size) {
  BeginRound(0);
}

std::optional<size_t> Course::Next() {
  while (cursor_ < open_.size() && !open_[cursor_]) cursor_++;
  if (cursor_ >= open_.size()) return std::nullopt;
  return cursor_;
}

void Course::Note(Outcome outcome, bool quick) {
  if (outcome == Outcome::kHeld || outcome == Outcome::kTaken) held_++;
  if (outcome == Outcome::kHeld)
    behind_++;
  else
    Close(cursor_);
  cursor_++;
  if (outcome == Outcome::kClaimed) {
    claimed_ = true;
    lost_ = 0;
  }
  if (outcome == Outcome::kClaimed || outcome == Outcome::kSkipped) return;
  lost_++;
  // Names that are gone without any that is held: an operator has removed them, and this worker is alone.
  // No leap before the first claim of a round: until then, the oldest free item may be the next one.
  if (!quick || !HasMet() || !claimed_ || lost_ < kLostInARow || stride_ < kShortestLeap) return;
  // If the landing place belongs to another worker, too, one name shows it.
  lost_ = kLostInARow - 1;
  for (const size_t end = std::min(cursor_ + stride_, open_.size()); cursor_ < end; cursor_++)
    behind_ += open_[cursor_] ? 1 : 0;
  leapt_ = true;
}

bool Course::IsRoundOver(int64_t now_ns) {
  if (begun_ns_ == 0) begun_ns_ = now_ns;
  return leapt_ && (!Next() || now_ns - begun_ns_ > kLongestRoundNs);
}

void Course::BeginRound(int64_t now_ns) {
  cursor_ = 0;
  stride_ = std::min(kLongestLeap, left_ / kPartOfRest);
  lost_ = 0;
  claimed_ = false;
  leapt_ = false;
  behind_ = 0;
  begun_ns_ = now_ns;
}

void Course::KnowOurs(size_t ours) {
  if (!ours_) ours_ = ours;
}

// Each name is tried once in the first round, and there is no other round without a leap.
bool Course::HasMet() const {
  return held_ > ours_.value_or(0);
}

void Course::Reopen(size_t position) {
  if (position >= open_.size() || open_[position]) return;
  open_[position] = true;
  left_++;
  cursor_ = std::min(cursor_, position);
}

void Course::Close(size_t position) {
  open_[position] = false;
  left_--;
}

}  // namespace fsq
