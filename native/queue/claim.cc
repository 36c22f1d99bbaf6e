#include "queue/claim.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "calls/clock.h"
#include "calls/fault_point.h"
#include "files/due_time.h"
#include "queue/claimer.h"
#include "queue/half_move.h"
#include "queue/rename_claim.h"

namespace fsq {
namespace {

constexpr size_t kNamesALook = 64;  // names between two checks for the down file
// A worker that claims this many at once works quickly, so other quick workers are in its way.
constexpr size_t kQuick = 8;

class LockClaimer : public Claimer {
 public:
  using Claimer::Claimer;
  bool Try(const Listing::Entry& entry, size_t position) override;

 private:
  bool Look(const Listing::Entry& entry, bool* skip);
  bool Open(const Listing::Entry& entry, Descriptor* opened);
  bool StandsThere(int fd, const Listing::Entry& entry) const;
  bool Check(Claim claim, const Listing::Entry& entry, size_t position);
};

// Decides whether to skip the name, without a lock: that is safe for a decision to skip, never for one to
// run. Opening and closing a delayed item would raise an event for all watchers of the queue, including this
// waiter: a pass over many would fill its own event queue. False: stop; batch.failure has the reason.
bool LockClaimer::Look(const Listing::Entry& entry, bool* skip) {
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
bool LockClaimer::Open(const Listing::Entry& entry, Descriptor* opened) {
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

bool LockClaimer::StandsThere(int fd, const Listing::Entry& entry) const {
  struct stat info;
  return RetryInterrupted(::fstat, fd, &info) == 0 &&
         directory_.HasTwin(directory_.fd(Place::kQueue), entry.name, info) == 1;
}

bool LockClaimer::Try(const Listing::Entry& entry, size_t position) {
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
bool LockClaimer::Check(Claim claim, const Listing::Entry& entry, size_t position) {
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
    const std::string name(entry.view());
    const int completed = CompleteHalfMove(directory_, {.name = name, .info = info});
    if (completed == -1 && errno != ENOENT) return Stop("unlinkat", entry);
    if (completed != 0) {
      NoteCompleted(entry);
      return true;
    }
  }
  claim.descriptor.Remember(info);
  claim.name = entry.view();
  claim.size = info.st_size;
  claim.position = position;
  Read(claim, claim.descriptor.get());
  batch_.claims.push_back(std::move(claim));
  outcome_ = Course::Outcome::kClaimed;
  return true;
}

}  // namespace

ClaimBatch ClaimNext(const QueueDirectory& directory, Listing& listing, size_t limit, size_t looks,
                     size_t read_limit, Skipped* skipped, Stopping stopping) {
  ClaimBatch batch;
  const int64_t begun = NowNs();
  if (directory.CheckClaims() == -1) {
    batch.failure = Failure{LastError(), "fstatat", directory.marker()};
    return batch;
  }
  batch.claims.reserve(limit);
  LockClaimer locks(directory, listing, read_limit, skipped, batch);
  RenameClaimer renames(directory, listing, read_limit, skipped, batch);
  Claimer& claimer = directory.claims_by_rename() ? static_cast<Claimer&>(renames) : locks;
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
  batch.has_more = batch.ended && listing.has_more();
  if (batch.ended && !batch.has_more && skipped != nullptr) skipped->EndPass();
  batch.spent_ns = NowNs() - begun;
  return batch;
}

}  // namespace fsq
