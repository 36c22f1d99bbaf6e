// The names of new items: timestamp, entropy, and the producer's suffix.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "names/time_text.h"

namespace fsq {

// How a producer names its items.
struct NameForm {
  char delimiter = '_';
  char escape = '%';
  std::string time_format;
  bool utc = false;

  // The beginning of all names of one second: delimiter, timestamp, delimiter. Cached, because many items
  // share a second.
  struct Head {
    std::mutex mutex;
    int64_t second = INT64_MIN;
    bool varies = false;  // the timestamp also changes within a second
    std::string text;
  };
  mutable Head head;
};

class NewName {
 public:
  // Where workers of several machines share a queue, a host name and a pid do not tell all processes apart.
  // The entropies of such a queue begin at a random number of the process.
  static uint64_t RandomStart();

  explicit NewName(uint64_t start = 0) : start_(start) {}

  // Unique among the names of this process.
  uint64_t entropy() const { return entropy_; }

  // Takes the next entropy of the process.
  void TakeEntropy();
  // Jumps past a run of taken names, further with each collision: stepping by one would be quadratic if
  // another producer wrote those names with the same pid and host.
  void JumpEntropy(int collisions);

  // The name at this instant. It is reused until the second or the entropy changes.
  const std::string& At(Instant now, const NameForm& form, const std::string& suffix);

  // The name that was made last.
  const std::string& text() const { return text_; }
  std::string Release() { return std::move(text_); }

 private:
  uint64_t start_;
  std::string text_;
  uint64_t entropy_ = 0;
  int64_t made_second_ = 0;
  uint64_t made_entropy_ = 0;
  bool varies_ = false;  // the timestamp changes within a second
};

}  // namespace fsq
