// The names in a directory at one moment, in FIFO order, as bytes in one arena: a name becomes a string only
// when it is used.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"
#include "names/name_order.h"
#include "platform/platform.h"
#include "queue/course.h"
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

  // Of queue/, also has the items that this worker has claimed without knowing it (see WorkerDirectory).
  // `stream`: a descriptor of queue/ that is reused for the next listing; opened here if it is not open yet.
  // ECANCELED: it was asked to stop.
  static std::unique_ptr<Listing> Read(const QueueDirectory& directory, Place place, Stopping stopping,
                                       Failure* failure, Descriptor* stream = nullptr);

  // A listing of known names. Their types are determined when they are claimed.
  static std::unique_ptr<Listing> Of(std::vector<std::string> names);

  // Shuffles the names in blocks, with `seed`; each block stays in FIFO order. Workers that start at
  // different blocks of a backlog do not all try the same names.
  void Relax(uint32_t seed);

  // Whether the names are in FIFO order.
  bool ordered() const { return blocks_.empty(); }

  size_t size() const { return index_.size(); }
  Entry at(size_t position) const;

  // Before a round of the course: finds out by one listing which names are gone, if that is quicker than to
  // try each of them. `stream` as above.
  void DropGone(const QueueDirectory& directory, Stopping stopping, Descriptor* stream);

  // How far the claims have come. Only one call at a time may use a listing.
  Course course;

  // How long it took to read and sort.
  int64_t spent_ns = 0;

  // How many of the next names are checked before they are opened, because they may be delayed.
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
  std::vector<uint32_t> blocks_;  // the shuffled order of the blocks; empty: not shuffled
};

}  // namespace fsq
