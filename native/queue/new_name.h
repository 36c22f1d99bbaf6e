// The names of new items: timestamp, entropy, and what the producer says.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "names/time_text.h"

namespace fsq {

// How one producer names its items.
struct NameForm {
  char delimiter = '_';
  char escape = '%';
  std::string time_format;
  bool utc = false;

  // What names of this second begin with, delimiter, timestamp and delimiter: a second has many items.
  struct Head {
    std::mutex mutex;
    int64_t second = INT64_MIN;
    bool varies = false;  // also within a second
    std::string text;
  };
  mutable Head head;
};

class NewName {
 public:
  // No other name of this process has its entropy.
  uint64_t entropy() const { return entropy_; }

  // The next entropy.
  void TakeEntropy();
  // One past a stretch of taken names, longer with each collision: stepping by one is quadratic when another
  // producer wrote them with the same pid and host.
  void JumpEntropy(int collisions);

  // The name at this instant: it lasts as long as the second and the entropy do, and is made anew then.
  const std::string& At(Instant now, const NameForm& form, const std::string& suffix);

  // As it was made last.
  const std::string& text() const { return text_; }
  std::string Release() { return std::move(text_); }

 private:
  std::string text_;
  uint64_t entropy_ = 0;
  int64_t made_second_ = 0;
  uint64_t made_entropy_ = 0;
  bool varies_ = false;  // within a second
};

}  // namespace fsq
