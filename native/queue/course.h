// The order in which one worker tries the names of a listing.
//
// A worker alone takes them from the first to the last. When several processes work quickly on one backlog,
// nearly every name that comes next is held or has been finished by another process, and each process would
// open all of them for nothing. So a worker that meets the items of others leaps over some names and claims
// where it lands; the other workers come from behind and claim the names in between. In its next round, the
// worker tries the names that it has leapt over and those that were held. The last round leaps over none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace fsq {

class Course {
 public:
  enum class Outcome {
    kClaimed,
    kHeld,     // another worker holds the item
    kGone,     // another worker was faster, or an operator has removed the item
    kTaken,    // the same where claimed items leave the directory: it counts as a sign of another worker
    kSkipped,  // not claimable
  };

  explicit Course(size_t size = 0);

  // The position of the next name to try: the same one until its outcome is noted. Nothing: the round is
  // over.
  std::optional<size_t> Next();

  // How many items this worker held when it first claimed from this listing. To meet as many is no sign of
  // another worker.
  void KnowOurs(size_t ours);

  // `quick`: the worker may leap over names.
  void Note(Outcome outcome, bool quick);

  // Whether another round has to begin: this one has reached the end, or the front has waited long enough.
  bool IsRoundOver(int64_t now_ns);
  void BeginRound(int64_t now_ns);

  // How many names the next round tries again. Drop removes those for which `gone` returns true.
  size_t behind() const { return behind_; }
  template <typename Gone>
  void Drop(Gone gone) {
    for (size_t at = 0; at < open_.size(); at++) {
      if (open_[at] && gone(at)) Close(at);
    }
  }

  // Whether no name is left to try.
  bool Ended() { return !leapt_ && !Next(); }

  // The claim of this name was released: it is tried again.
  void Reopen(size_t position);

 private:
  void Close(size_t position);
  // Whether another process works here.
  bool HasMet() const;

  std::vector<bool> open_;  // the names to try, in this round or in the next
  size_t left_;             // how many are open
  size_t cursor_ = 0;
  size_t stride_ = 0;
  size_t lost_ = 0;  // held and gone names in a row
  size_t held_ = 0;  // held and taken items that were met, in all rounds
  std::optional<size_t> ours_;
  bool claimed_ = false;  // an item, in this round
  bool leapt_ = false;    // over names, in this round
  size_t behind_ = 0;
  int64_t begun_ns_ = 0;
};

}  // namespace fsq
