// The names of delayed items, sorted by the time when they are due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fsq {

// A heap over one arena. A name takes its length plus 16 bytes, so all delayed items of a queue can be
// remembered, and items that become due together need no further pass to find them.
class DueNames {
 public:
  // False: no room is left.
  bool Add(int64_t due_ms, std::string_view name);

  // Moves the names that are due at `now_ms` to `names`, at most `limit` of them. Earlier due times first;
  // equal due times in the order in which they were added.
  void Take(int64_t now_ms, size_t limit, std::vector<std::string>* names);

  // When the first name is due; 0: there are no names.
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
  size_t taken_ = 0;  // bytes of the arena that names no longer use
};

}  // namespace fsq
