#include "queue/claim.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "calls/clock.h"
#include "calls/fault_point.h"
#include "files/due_time.h"
#include "names/tries.h"

namespace fsq {
namespace {

constexpr size_t kNamesALook = 64;  // names between two checks for the down file
// A worker that claims this many at once works quickly, so other quick workers are in its way.
constexpr size_t kQuick = 8;

class Claimer {
 public:
  Claimer(const QueueDirectory& directory, Listing& listing, size_t read_limit, Skipped* skipped,
          ClaimBatch& batch)
      : directory_(directory), listing_(listing), read_limit_(read_limit), skipped_(skipped), batch_(batch) {}

  // False: stop; batch.failure has the reason.
  bool Try(const Listing::Entry& entry, size_t position);

  // Of the last try that did not stop.
  Course::Outcome outcome() const { return outcome_; }

 private:
  bool Look(const Listing::Entry& entry, bool* skip);
  bool Open(const Listing::Entry& entry, Descriptor* opened);
  bool StandsThere(int fd, const Listing::Entry& entry) const;
  bool Check(Claim claim, const Listing::Entry& entry, size_t position);
  bool Stop(const char* syscall, const Listing::Entry& entry);
  bool Gone();
  void NoteForeign(const Listing::Entry& entry, platform::EntryType type);
  void NoteUnreadable(const char* syscall, const Listing::Entry& entry);
  void NoteDelayed(const Listing::Entry& entry, const struct stat& info);
  int FindByInode(Place place, std::string_view but, const struct stat& info, std::string* found);
  static bool WasLeft(std::string_view name, std::string_view other);
  int CompleteHalfMove(const Listing::Entry& entry, const struct stat& info);
  int RemoveFromQueue(const char* name);
  void Read(Claim& claim);

  const QueueDirectory& directory_;
  Listing& listing_;
  const size_t read_limit_;
  Skipped* const skipped_;
  ClaimBatch& batch_;
  Course::Outcome outcome_ = Course::Outcome::kSkipped;
};

bool Claimer::Stop(const char* syscall, const Listing::Entry& entry) {
  batch_.failure = Failure{LastError(), syscall, directory_.PathOf(Place::kQueue, entry.view())};
  return false;
}

// After a failed call: whether it failed because another worker was faster.
bool Claimer::Gone() {
  if (errno != ENOENT) return false;
  outcome_ = Course::Outcome::kGone;
  return true;
}

void Claimer::NoteForeign(const Listing::Entry& entry, platform::EntryType type) {
  batch_.notes.push_back({ClaimNote::Kind::kForeign, std::string(entry.view()), type, {}});
}

void Claimer::NoteUnreadable(const char* syscall, const Listing::Entry& entry) {
  Failure failure = Failure{LastError(), syscall, directory_.PathOf(Place::kQueue, entry.view())};
  batch_.notes.push_back(
      {ClaimNote::Kind::kUnreadable, std::string(entry.view()), entry.type, std::move(failure)});
}

// If one item is delayed, the next ones may be, too.
void Claimer::NoteDelayed(const Listing::Entry& entry, const struct stat& info) {
  listing_.look_first = Listing::kLookFirst;
  batch_.delayed++;
  if (skipped_ != nullptr) skipped_->KeepDelayed(entry.view(), DueOf(info));
}

// Finds a name of this inode in `place`, other than `but`: 1 found, 0 there is none, -1 errno.
int Claimer::FindByInode(Place place, std::string_view but, const struct stat& info, std::string* found) {
  const Descriptor stream(
      FSQ_CALL("list.open", ::openat(directory_.fd(place), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!stream.valid()) return errno == ENOENT ? 0 : -1;
  found->clear();
  const int result = platform::ReadEntries(stream.get(), [&](const platform::DirectoryEntry& entry) {
    if (entry.inode == info.st_ino && entry.name != but) *found = std::string(entry.name);
    return found->empty();
  });
  if (result == -1) return errno == ENOENT ? 0 : -1;
  // The inode number alone does not identify the device.
  return found->empty() ? 0 : directory_.HasTwin(place, found->c_str(), info);
}

// If one inode has two names in queue/, a retry was about to leave the one with fewer tries.
bool Claimer::WasLeft(std::string_view name, std::string_view other) {
  const auto tries = TriesOf(name);
  const auto other_tries = TriesOf(other);
  return tries && other_tries && *tries < *other_tries;
}

// A move made by link and unlink (or a power cut on btrfs) can leave both names of an inode. The work was
// done, or the retry was made, so complete the move rather than run the item again. 1: completed, the item is
// no longer here; 0: it is an ordinary item (its other name is still in tmp/, or belongs to a backup); -1:
// errno.
int Claimer::CompleteHalfMove(const Listing::Entry& entry, const struct stat& info) {
  const int building = directory_.HasTwin(Place::kTmp, entry.name, info);
  if (building != 0) return building == 1 ? 0 : -1;
  for (const Place place : {Place::kDone, Place::kFail}) {
    const int twin = directory_.HasTwin(place, entry.name, info);
    if (twin != 0) return twin == 1 ? RemoveFromQueue(entry.name) : -1;
  }
  for (const int step : {1, -1}) {
    const auto other = WithTriesChanged(entry.view(), step);
    const int twin = other ? directory_.HasTwin(Place::kQueue, other->c_str(), info) : 0;
    if (twin == -1) return -1;
    if (twin == 1)
      return step == 1 ? RemoveFromQueue(entry.name) : RemoveFromQueue(other->c_str()) == -1 ? -1 : 0;
  }
  // After a collision the other name differs in more than its directory. Only a move by link can have been
  // cut in half then, so if renames are exclusive, there is no need to search directories of any size.
  if (directory_.RenamesExclusively()) return 0;
  for (const Place place : {Place::kDone, Place::kFail, Place::kQueue}) {
    std::string other;
    const int twin =
        FindByInode(place, place == Place::kQueue ? entry.view() : std::string_view(), info, &other);
    if (twin == -1) return -1;
    if (twin == 0) continue;
    if (place != Place::kQueue || WasLeft(entry.view(), other)) return RemoveFromQueue(entry.name);
    if (WasLeft(other, entry.view())) return RemoveFromQueue(other.c_str()) == -1 ? -1 : 0;
  }
  return 0;
}

int Claimer::RemoveFromQueue(const char* name) {
  const int queue = directory_.fd(Place::kQueue);
  // ENOENT: an interrupted call removed it, or another process did.
  return FSQ_CALL("claim.complete", ::unlinkat(queue, name, 0)) == 0 || errno == ENOENT ? 1 : -1;
}

void Claimer::Read(Claim& claim) {
  if (claim.size < 0 || static_cast<size_t>(claim.size) > read_limit_) return;
  const size_t offset = batch_.contents.size();
  const auto size = static_cast<size_t>(claim.size);
  batch_.contents.resize(offset + size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got =
        FSQ_CALL("claim.read", ::pread(claim.descriptor.get(), batch_.contents.data() + offset + filled,
                                       size - filled, static_cast<off_t>(filled)));
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  // The claim itself is good. Reading the content later reports the error.
  if (filled < size) {
    batch_.contents.resize(offset);
    return;
  }
  claim.content_offset = offset;
  claim.content_length = static_cast<ssize_t>(size);
}

// Decides whether to skip the name, without a lock: that is safe for a decision to skip, never for one to
// run. Opening and closing a delayed item would raise an event for all watchers of the queue, including this
// waiter: a pass over many would fill its own event queue. False: stop; batch.failure has the reason.
bool Claimer::Look(const Listing::Entry& entry, bool* skip) {
  platform::EntryType type = entry.type;
  *skip = true;
  if (listing_.look_first > 0) {
    struct stat named;
    const int queue = directory_.fd(Place::kQueue);
    if (FSQ_CALL("claim.look", ::fstatat(queue, entry.name, &named, AT_SYMLINK_NOFOLLOW)) == -1)
      return Gone() || Stop("fstatat", entry);
    type = platform::TypeOfMode(named.st_mode);
    if (type == platform::EntryType::kRegular && IsDelayed(named)) {
      NoteDelayed(entry, named);
      return true;
    }
    listing_.look_first--;
  }
  // Skipped without opening it: opening a device, a FIFO or someone's symlink has effects. A name that a
  // watch has told has no type. It is almost always a new item, so it is opened at once, in a way that
  // neither waits nor follows a link.
  *skip = type != platform::EntryType::kRegular && type != platform::EntryType::kUnknown;
  if (*skip) NoteForeign(entry, type);
  return true;
}

// Leaves the descriptor invalid if the item is gone or may not be opened. False: stop; batch.failure has the
// reason.
bool Claimer::Open(const Listing::Entry& entry, Descriptor* opened) {
  const int queue = directory_.fd(Place::kQueue);
  const int access = AccessFor(directory_.lock_kind());
  *opened = Descriptor(FSQ_CALL(
      "claim.open", ::openat(queue, entry.name, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)));
  if (opened->valid() || Gone()) return true;
  if ((errno == EMFILE || errno == ENFILE) && skipped_ != nullptr && skipped_->DropBusy())
    return Open(entry, opened);
  // ETXTBSY: the item is a running program, and fcntl locks require it to be open for writing.
  if (errno == EACCES || errno == EPERM || errno == ETXTBSY) {
    NoteUnreadable("openat", entry);
    return true;
  }
  // The name was replaced by something else after it was listed.
  if (errno == ELOOP || errno == ENXIO || errno == EISDIR) {
    NoteForeign(entry, platform::EntryType::kUnknown);
    return true;
  }
  return Stop("openat", entry);
}

bool Claimer::StandsThere(int fd, const Listing::Entry& entry) const {
  struct stat info;
  return RetryInterrupted(::fstat, fd, &info) == 0 &&
         directory_.HasTwin(Place::kQueue, entry.name, info) == 1;
}

bool Claimer::Try(const Listing::Entry& entry, size_t position) {
  outcome_ = Course::Outcome::kSkipped;
  Descriptor opened;
  if (skipped_ != nullptr) opened = skipped_->TakeBusy(entry.view());
  // The name may belong to another file by now.
  if (opened.valid() && !StandsThere(opened.get(), entry)) opened.Reset();
  if (!opened.valid()) {
    bool skip = false;
    if (!Look(entry, &skip)) return false;
    if (skip) return true;
    if (!Open(entry, &opened)) return false;
  }
  if (!opened.valid()) return true;
  const LockKind kind = directory_.lock_kind();
  if (FSQ_CALL("claim.lock", TryLock(opened.get(), kind)) == -1) {
    if (errno != EAGAIN) return Stop(kind == LockKind::kFlock ? "flock" : "fcntl", entry);
    batch_.busy++;
    outcome_ = Course::Outcome::kHeld;
    if (skipped_ != nullptr) skipped_->KeepBusy(entry.view(), std::move(opened));
    return true;
  }
  Claim claim;
  claim.descriptor = ClaimedDescriptor(opened.Release(), kind);
  return Check(std::move(claim), entry, position);
}

// Adds the claim to the batch, or releases it. False: stop; batch.failure has the reason.
bool Claimer::Check(Claim claim, const Listing::Entry& entry, size_t position) {
  const int queue = directory_.fd(Place::kQueue);
  // Between our open and our lock, another worker may have finished or renamed the item.
  struct stat info;
  struct stat named;
  if (FSQ_CALL("claim.fstat", ::fstat(claim.descriptor.get(), &info)) == -1) return Stop("fstat", entry);
  if (directory_.Look("claim.fstatat", queue, entry.name, &named) == -1) {
    return Gone() || Stop("fstatat", entry);
  }
  if (IdOf(named) != IdOf(info) || info.st_nlink == 0) {
    outcome_ = Course::Outcome::kGone;
    return true;
  }
  if (!S_ISREG(info.st_mode)) {
    NoteForeign(entry, platform::TypeOfMode(info.st_mode));
    return true;
  }
  if (IsDelayed(info)) {
    NoteDelayed(entry, info);
    return true;
  }
  if (info.st_nlink > 1) {
    const int completed = CompleteHalfMove(entry, info);
    if (completed == -1 && errno != ENOENT) return Stop("unlinkat", entry);
    if (completed != 0) {
      batch_.notes.push_back({ClaimNote::Kind::kCompleted, std::string(entry.view()), entry.type, {}});
      return true;
    }
  }
  claim.descriptor.Remember(info);
  claim.name = entry.view();
  claim.size = info.st_size;
  claim.position = position;
  Read(claim);
  batch_.claims.push_back(std::move(claim));
  outcome_ = Course::Outcome::kClaimed;
  return true;
}

}  // namespace

ClaimBatch ClaimNext(const QueueDirectory& directory, Listing& listing, size_t limit, size_t looks,
                     size_t read_limit, Skipped* skipped, Stopping stopping) {
  ClaimBatch batch;
  const int64_t begun = NowNs();
  if (directory.CheckLockKind() == -1) {
    batch.failure = Failure{LastError(), "fstatat", "lock-fcntl"};
    return batch;
  }
  batch.claims.reserve(limit);
  Claimer claimer(directory, listing, read_limit, skipped, batch);
  Course& course = listing.course;
  const bool quick = limit >= kQuick && listing.ordered();
  for (; batch.claims.size() < limit && batch.looked < looks; batch.looked++) {
    if (stopping.requested()) break;
    // Not just once, because a pass over a backlog that others hold can be long. Not for each name, because
    // the caller checks again before it hands out an item.
    if (batch.looked % kNamesALook == 0) {
      const int down = directory.IsDownLately();
      if (down == -1) batch.failure = Failure{LastError(), "fstatat", "down"};
      batch.down = down == 1;
      if (down != 0) break;
    }
    if (course.IsRoundOver(begun)) {
      // Few looks: the caller wants a quick answer.
      if (course.behind() > looks) break;
      listing.DropGone(directory, stopping, skipped != nullptr ? &skipped->stream : nullptr);
      course.BeginRound(begun);
    }
    const std::optional<size_t> position = course.Next();
    if (!position) break;
    // After a failure, the next call, if there is one, continues with this name.
    if (!claimer.Try(listing.at(*position), *position)) break;
    course.Note(claimer.outcome(), quick);
  }
  batch.ended = course.Ended() && !batch.failure;
  if (skipped != nullptr) skipped->UnlockBusy();
  if (batch.ended && skipped != nullptr) skipped->EndPass();
  batch.spent_ns = NowNs() - begun;
  return batch;
}

}  // namespace fsq
