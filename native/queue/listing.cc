#include "queue/listing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "names/tries.h"

namespace fsq {
namespace {

// About as many as one worker prefetches.
constexpr size_t kBlock = 32;

// To read this many names takes less time than to open one that is gone.
constexpr size_t kListedATry = 4;
// To open fewer names than this takes less time than a listing: a directory that was large stays large.
constexpr size_t kWorthListing = 1000;

constexpr ptrdiff_t kSortedAtOnce = 8192;

// For an entry whose type the directory does not store. 0 or -1 with errno.
int FindType(int directory, const char* name, platform::EntryType* type) {
  struct stat info;
  if (FSQ_CALL("list.stat", ::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW)) == -1) return -1;
  *type = platform::TypeOfMode(info.st_mode);
  return 0;
}

// Opens the directory, unless `stream` is open and the directory is a local one. Uses an open file
// description of its own: two concurrent listings would move the offset of a shared one. A client of a file
// server that reads an open directory again may answer from its cache, on NFS for a minute; an open asks the
// server. Returns the system call that has failed, with errno.
const char* Rewind(const QueueDirectory& directory, Place place, Descriptor* stream) {
  if (stream->valid() && directory.file_system().reach == platform::FileSystem::Reach::kLocal)
    return RetryInterrupted(::lseek, stream->get(), 0, SEEK_SET) == -1 ? "lseek" : nullptr;
  *stream = Descriptor(
      FSQ_CALL("list.open", ::openat(directory.fd(place), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  return stream->valid() ? nullptr : "openat";
}

}  // namespace

std::unique_ptr<Listing> Listing::Read(const QueueDirectory& directory, Place place, const Part& part,
                                       Stopping stopping, Failure* failure, Descriptor* stream) {
  auto listing = std::make_unique<Listing>();
  if (directory.CheckAllCurrent() == -1) {
    *failure = Failure{LastError(), "stat", directory.NameOf(place)};
    return nullptr;
  }
  Descriptor own;
  if (stream == nullptr) stream = &own;
  if (const char* const failed = Rewind(directory, place, stream); failed != nullptr) {
    // The directory has been removed, so it has no entries.
    if (errno == ENOENT && !stream->valid()) return listing;
    *failure = Failure{LastError(), failed, directory.NameOf(place)};
    return nullptr;
  }
  bool too_large = false;
  Failure untyped;
  const int result = platform::ReadEntries(stream->get(), [&](const platform::DirectoryEntry& entry) {
    platform::EntryType type = entry.type;
    if (type == platform::EntryType::kUnknown && FindType(stream->get(), entry.name.data(), &type) == -1) {
      if (errno != ENOENT) untyped = Failure{LastError(), "fstatat", directory.PathOf(place, entry.name)};
      return !untyped;
    }
    too_large = !listing->Take(part, entry.name, type);
    return !too_large && !stopping.requested();
  });
  if (result == -1 && errno != ENOENT) {
    *failure = Failure{LastError(), "getdents64", directory.NameOf(place)};
    return nullptr;
  }
  if (untyped) {
    *failure = untyped;
    return nullptr;
  }
  if (place == Place::kQueue) {
    for (const std::string& name : directory.FindStrays())
      too_large = too_large || !listing->Take(part, name, platform::EntryType::kRegular);
  }
  if (listing->end_ && !part.is_first) listing->end_ = part.end;
  if (too_large) {
    *failure = Failure{-EOVERFLOW, "getdents64", directory.NameOf(place), {}};
    return nullptr;
  }
  if (!listing->Sort(stopping)) {
    *failure = Failure{-ECANCELED, "getdents64", directory.NameOf(place), {}};
    return nullptr;
  }
  return listing;
}

void Listing::Relax(uint32_t seed) {
  // The last, incomplete block stays where it is.
  blocks_.resize(index_.size() / kBlock);
  std::iota(blocks_.begin(), blocks_.end(), 0u);
  std::shuffle(blocks_.begin(), blocks_.end(), std::minstd_rand(seed));
}

void Listing::DropGone(const QueueDirectory& directory, Stopping stopping, Descriptor* stream) {
  if (course.behind() < kWorthListing) return;
  const size_t most = course.behind() * kListedATry;
  Descriptor own;
  if (stream == nullptr) stream = &own;
  if (Rewind(directory, Place::kQueue, stream) != nullptr) return;
  // Hashes instead of names: if two names have the same one, a name that is gone gets its try, which does no
  // harm.
  std::vector<size_t> there;
  const std::hash<std::string_view> hash;
  const int result = platform::ReadEntries(stream->get(), [&](const platform::DirectoryEntry& entry) {
    there.push_back(hash(entry.name));
    return there.size() <= most && !stopping.requested();
  });
  if (result == -1 || there.size() > most || stopping.requested()) return;
  std::sort(there.begin(), there.end());
  course.Drop(
      [&](size_t at) { return !std::binary_search(there.begin(), there.end(), hash(this->at(at).view())); });
}

std::unique_ptr<Listing> Listing::Of(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  auto listing = std::make_unique<Listing>();
  for (const std::string& name : names) {
    if (!platform::IsDeleted(name)) (void)listing->Add(name, KeyOf(name), platform::EntryType::kUnknown);
  }
  (void)listing->Sort({});
  return listing;
}

// Adds a name that belongs to the part. False: no room is left.
bool Listing::Take(const Part& part, std::string_view name, platform::EntryType type) {
  const NameKey key = KeyOf(name);
  if (!part.Has(name, key)) return true;
  if (cut_ && cut_->ComesBefore(name, key)) {
    NoteBehind(name, key);
    return true;
  }
  if (!Add(name, key, type)) return false;
  if (index_.size() - kept_ > part.least) Cut(part.least);
  return true;
}

bool Listing::Bound::ComesBefore(std::string_view other, const NameKey& other_key) const {
  if (!fsq::ComesBefore(name, key, other, other_key)) return false;
  const size_t prefix = key.entropy_end;
  return other.substr(0, prefix) != name.substr(0, prefix) || !AreEqualUntried(name, other);
}

bool Listing::Part::Has(std::string_view name, const NameKey& key) const {
  return is_first || (end && !end->ComesBefore(name, key) && after->ComesBefore(name, key));
}

// Keeps the first names.
void Listing::Cut(size_t count) {
  const auto comes_first = [this](const IndexEntry& left, const IndexEntry& right) {
    return ComesFirst(left, right);
  };
  const auto middle = index_.begin() + static_cast<ptrdiff_t>(count);
  std::nth_element(index_.begin(), middle - 1, index_.end(), comes_first);
  cut_.emplace(NameOf(*(middle - 1)));
  const auto end = std::partition(middle, index_.end(), [this](const IndexEntry& entry) {
    return !cut_->ComesBefore(NameOf(entry), entry.key);
  });
  const auto last = std::max_element(end, index_.end(), comes_first);
  if (last != index_.end()) NoteBehind(NameOf(*last), last->key);
  index_.erase(end, index_.end());
  kept_ = index_.size();
  const size_t bytes =
      std::accumulate(index_.begin(), index_.end(), size_t{0},
                      [](size_t sum, const IndexEntry& entry) { return sum + entry.length + 1; });
  Arena arena;
  // The names until the next cut take as much again.
  arena.reserve(2 * bytes);
  for (IndexEntry& entry : index_) {
    const std::string_view name = NameOf(entry);
    entry.offset = static_cast<uint32_t>(arena.size());
    arena.insert(arena.end(), name.data(), name.data() + name.size() + 1);
  }
  arena_ = std::move(arena);
}

void Listing::NoteBehind(std::string_view name, const NameKey& key) {
  if (!end_ || end_->ComesBefore(name, key)) end_.emplace(name);
}

bool Listing::Add(std::string_view name, const NameKey& key, platform::EntryType type) {
  if (arena_.size() > std::numeric_limits<uint32_t>::max() - name.size() - 1) return false;
  const auto offset = static_cast<uint32_t>(arena_.size());
  arena_.insert(arena_.end(), name.begin(), name.end());
  arena_.push_back('\0');
  index_.push_back({key, offset, static_cast<uint16_t>(name.size()), type});
  return true;
}

// False: it was asked to stop.
bool Listing::Sort(Stopping stopping) {
  const int depth = 2 * std::bit_width(index_.size());
  course = Course(index_.size());
  return !stopping.requested() && SortRange(index_.begin(), index_.end(), depth, stopping);
}

// Splits the range into parts that are small enough to check for cancellation between them; one std::sort of
// a million names would delay a cancellation. `depth` limits the splits, because an unfavourable order can
// make them useless.
bool Listing::SortRange(Position begin, Position end, int depth, Stopping stopping) {
  const auto comes_first = [this](const IndexEntry& left, const IndexEntry& right) {
    return ComesFirst(left, right);
  };
  while (end - begin > kSortedAtOnce && depth-- > 0) {
    if (stopping.requested()) return false;
    const auto middle = begin + (end - begin) / 2;
    std::array<IndexEntry, 3> sample = {*begin, *middle, *(end - 1)};
    std::sort(sample.begin(), sample.end(), comes_first);
    const auto split =
        std::partition(begin, end, [&](const IndexEntry& entry) { return ComesFirst(entry, sample[1]); });
    if (!SortRange(begin, split, depth, stopping)) return false;
    begin = split;
  }
  std::sort(begin, end, comes_first);
  return true;
}

Listing::Entry Listing::at(size_t position) const {
  const size_t block = position / kBlock;
  if (block < blocks_.size()) position = blocks_[block] * kBlock + position % kBlock;
  const IndexEntry& entry = index_[position];
  return {arena_.data() + entry.offset, entry.length, entry.type};
}

}  // namespace fsq
