// The names of delayed items, by the time at which they are due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fsq {

// A heap over one arena: a name takes its length and 16 bytes, so that all the delayed items of a queue can
// be remembered, and none of those that come due together has to be found by another walk.
class DueNames {
 public:
  // False: there is no more room.
  bool Add(int64_t due_ms, std::string_view name);

  // Moves the names that are due at `now_ms` to `names`, at most `limit` of them: those that are due first,
  // and of one time those that were added first.
  void Take(int64_t now_ms, size_t limit, std::vector<std::string>* names);

  // When the first of them is due; 0: there is none.
  int64_t next_due_ms() const { return heap_.empty() ? 0 : heap_.front().due_ms; }

  void Clear();

 private:
  struct Entry {
    int64_t due_ms;
    uint32_t offset;
    uint32_t length;
  };
  static bool IsLater(const Entry& left, const Entry& right);
  void Compact();

  std::vector<Entry> heap_;
  std::string arena_;
  size_t taken_ = 0;  // bytes of the arena that no name needs any more
};

}  // namespace fsq
