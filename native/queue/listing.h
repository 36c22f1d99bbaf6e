// The names in one directory at one moment, in FIFO order. Names stay bytes in one arena until somebody wants
// them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"
#include "names/name_order.h"
#include "platform/platform.h"
#include "queue/directory.h"

namespace fsq {

class Listing {
 public:
  struct Entry {
    const char* name;  // ends with NUL
    size_t length;
    platform::EntryType type;

    std::string_view view() const { return {name, length}; }
  };

  // `stream`: a descriptor of queue/ that is kept from one listing to the next, opened if it is not open yet.
  // ECANCELED: it was asked to stop.
  static std::unique_ptr<Listing> Read(const QueueDirectory& directory, Place place, Stopping stopping,
                                       Failure* failure, Descriptor* stream = nullptr);

  // Of names that are known; what they are will be seen when they are claimed.
  static std::unique_ptr<Listing> Of(std::vector<std::string> names);

  // Deals the names anew in blocks, each block in FIFO order: workers that begin at different blocks of one
  // backlog do not all try the same names. `seed` says how.
  void Relax(uint32_t seed);

  size_t size() const { return index_.size(); }
  Entry at(size_t position) const;

  // Where the next claim goes on. Only one call at a time uses a listing.
  size_t cursor = 0;

  // How long it took to read and sort.
  int64_t spent_ns = 0;

  // So many of the next names are looked at before they are opened, as they may be delayed.
  size_t look_first = kLookFirst;
  static constexpr size_t kLookFirst = 64;

 private:
  bool Add(std::string_view name, platform::EntryType type);
  struct IndexEntry {
    NameKey key;
    uint32_t offset;
    uint16_t length;
    platform::EntryType type;
  };
  using Position = std::vector<IndexEntry>::iterator;

  bool ComesFirst(const IndexEntry& left, const IndexEntry& right) const {
    return ComesBefore(NameOf(left), left.key, NameOf(right), right.key);
  }
  bool Sort(Stopping stopping);
  bool SortRange(Position begin, Position end, int depth, Stopping stopping);

  std::string_view NameOf(const IndexEntry& entry) const {
    return {arena_.data() + entry.offset, entry.length};
  }

  std::vector<char> arena_;
  std::vector<IndexEntry> index_;
  std::vector<uint32_t> blocks_;  // which block comes when; empty: as they are
};

}  // namespace fsq
