// The names in a directory at one moment, in FIFO order, as bytes in one arena: a name becomes a string only
// when it is used.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"
#include "names/name_order.h"
#include "platform/platform.h"
#include "queue/course.h"
#include "queue/directory.h"
#include "queue/page_allocator.h"

namespace fsq {

class Listing {
 public:
  struct Entry {
    const char* name;  // ends with NUL
    size_t length;
    platform::EntryType type;

    std::string_view view() const { return {name, length}; }
  };

  // A name to compare others with.
  struct Bound {
    explicit Bound(std::string_view text) : name(text), key(KeyOf(name)) {}
    // Not behind itself is the same item with other tries. So no part ends between the names of one item: a
    // retry does not bring it to the next part.
    bool ComesBefore(std::string_view other, const NameKey& other_key) const;

    std::string name;
    NameKey key;
  };

  // The part of the names that is listed, for a caller whose memory is to stay the same however many names
  // there are.
  struct Part {
    // At least this many names, unless there are fewer, and at most twice as many: the first ones.
    size_t least = std::numeric_limits<size_t>::max();
    // Otherwise, only the names behind `after` and up to `end`.
    bool is_first = true;
    std::optional<Bound> after;
    std::optional<Bound> end;

    bool Has(std::string_view name, const NameKey& key) const;
  };

  // The names behind this listing, up to the last name that there was when its first part was read. So the
  // parts together have each name once that is there all the time, and none that comes behind all others
  // meanwhile.
  Part NextPart(size_t least) const { return {least, false, cut_, end_}; }

  // Of queue/, also has the items that this worker has claimed without knowing it (see WorkerDirectory).
  // `stream`: a descriptor of queue/ that is reused for the next listing; opened here if it is not open yet.
  // ECANCELED: it was asked to stop.
  static std::unique_ptr<Listing> Read(const QueueDirectory& directory, Place place, const Part& part,
                                       Stopping stopping, Failure* failure, Descriptor* stream = nullptr);

  // A listing of known names. Their types are determined when they are claimed.
  static std::unique_ptr<Listing> Of(std::vector<std::string> names);

  // Shuffles the names in blocks, with `seed`; each block stays in FIFO order. Workers that start at
  // different blocks of a backlog do not all try the same names.
  void Relax(uint32_t seed);

  // Whether the names are in FIFO order.
  bool ordered() const { return blocks_.empty(); }

  // Whether there were names behind these.
  bool has_more() const { return end_.has_value(); }

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
  bool Take(const Part& part, std::string_view name, platform::EntryType type);
  bool Add(std::string_view name, const NameKey& key, platform::EntryType type);
  void Cut(size_t count);
  void NoteBehind(std::string_view name, const NameKey& key);
  struct IndexEntry {
    NameKey key;
    uint32_t offset;
    uint16_t length;
    platform::EntryType type;
  };
  using Arena = std::vector<char, PageAllocator<char>>;
  using Index = std::vector<IndexEntry, PageAllocator<IndexEntry>>;
  using Position = Index::iterator;

  bool ComesFirst(const IndexEntry& left, const IndexEntry& right) const {
    return ComesBefore(NameOf(left), left.key, NameOf(right), right.key);
  }
  bool Sort(Stopping stopping);
  bool SortRange(Position begin, Position end, int depth, Stopping stopping);

  std::string_view NameOf(const IndexEntry& entry) const {
    return {arena_.data() + entry.offset, entry.length};
  }

  Arena arena_;
  Index index_;
  std::vector<uint32_t> blocks_;  // the shuffled order of the blocks; empty: not shuffled
  size_t kept_ = 0;               // how many names the last cut has left
  std::optional<Bound> cut_;      // the names behind this one belong to later parts
  std::optional<Bound> end_;      // the last name of the later parts; empty: there are none
};

}  // namespace fsq
