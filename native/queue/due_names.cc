#include "queue/due_names.h"

#include <algorithm>
#include <limits>

namespace fsq {
namespace {

// A smaller arena is not worth compacting.
constexpr size_t kSmallArena = 64 * 1024;

}  // namespace

bool DueNames::IsLater(const Entry& left, const Entry& right) {
  return left.due_ms != right.due_ms ? left.due_ms > right.due_ms : left.offset > right.offset;
}

bool DueNames::Add(int64_t due_ms, std::string_view name) {
  if (arena_.size() > std::numeric_limits<uint32_t>::max() - name.size()) return false;
  heap_.push_back({due_ms, static_cast<uint32_t>(arena_.size()), static_cast<uint32_t>(name.size())});
  std::push_heap(heap_.begin(), heap_.end(), IsLater);
  arena_.append(name);
  return true;
}

void DueNames::Take(int64_t now_ms, size_t limit, std::vector<std::string>* names) {
  for (; limit > 0 && !heap_.empty() && heap_.front().due_ms <= now_ms; limit--) {
    std::pop_heap(heap_.begin(), heap_.end(), IsLater);
    const Entry& due = heap_.back();
    names->emplace_back(arena_, due.offset, due.length);
    taken_ += due.length;
    heap_.pop_back();
  }
  if (heap_.empty()) Clear();
  if (arena_.size() > kSmallArena && taken_ > arena_.size() / 2) Compact();
}

void DueNames::Clear() {
  heap_ = {};
  arena_ = {};
  taken_ = 0;
}

// Keeps the names in the order in which they were added, which is the order of their offsets.
void DueNames::Compact() {
  std::sort(heap_.begin(), heap_.end(),
            [](const Entry& left, const Entry& right) { return left.offset < right.offset; });
  std::string arena;
  arena.reserve(arena_.size() - taken_);
  for (Entry& entry : heap_) {
    const std::string_view name(arena_.data() + entry.offset, entry.length);
    entry.offset = static_cast<uint32_t>(arena.size());
    arena.append(name);
  }
  arena_ = std::move(arena);
  taken_ = 0;
  std::make_heap(heap_.begin(), heap_.end(), IsLater);
}

}  // namespace fsq
