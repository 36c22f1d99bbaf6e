#include "queue/rename_claim.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "calls/fault_point.h"
#include "files/due_time.h"
#include "files/file_info.h"
#include "queue/finish.h"
#include "queue/half_move.h"

namespace fsq {
namespace {

// Whether the look ahead of the rename has seen this file, with this modification time. Then the item is not
// delayed: after a clock was set back, the rename makes it seem so, as it sets the change time.
bool IsAsLooked(const struct stat& info, const struct stat& looked) {
  const timespec& modified = platform::ModifiedAt(info);
  const timespec& before = platform::ModifiedAt(looked);
  return IdOf(info) == IdOf(looked) && modified.tv_sec == before.tv_sec && modified.tv_nsec == before.tv_nsec;
}

}  // namespace

bool RenameClaimer::Try(const Listing::Entry& entry, size_t position) {
  outcome_ = Course::Outcome::kSkipped;
  if (!batch_.holder) batch_.holder = directory_.Worker(&batch_.failure);
  if (!batch_.holder) return false;
  Attempt attempt{entry, position, std::string(entry.view())};
  if (!WorkerDirectory::IsItem(attempt.name)) {
    errno = EEXIST;
    NoteUnreadable("renameat2", entry);
    return true;
  }
  const WorkerDirectory::Taken taken = batch_.holder->Take(attempt.name);
  if (taken == WorkerDirectory::Taken::kHeld) {
    batch_.busy++;
    outcome_ = Course::Outcome::kHeld;
    if (skipped_ != nullptr) skipped_->KeepBusyName(entry.view());
    return true;
  }
  const bool in_doubt = taken == WorkerDirectory::Taken::kInDoubt;
  const bool goes_on = TryTaken(attempt, in_doubt);
  // Only a listing settles a doubt: a look at one name can come from a cache.
  if (!attempt.is_kept && in_doubt)
    batch_.holder->Doubt(attempt.name);
  else if (!attempt.is_kept)
    batch_.holder->Drop(attempt.name);
  if (outcome_ == Course::Outcome::kGone) outcome_ = Course::Outcome::kTaken;
  return goes_on;
}

// False: stop; batch.failure has the reason.
bool RenameClaimer::TryTaken(Attempt& attempt, bool in_doubt) {
  if (in_doubt) {
    const Found found = Examine(attempt);
    if (found != Found::kNothing) return found == Found::kFile;
  }
  bool skip = false;
  if (!Look(attempt, &skip)) return false;
  if (skip) return true;
  // No failure yet: the next call finds the fence fallen, and reports it.
  if (batch_.holder->IsLost()) return false;
  // EEXIST: an earlier claim was made although it had failed.
  if (Rename(attempt.name) == -1 && errno != EEXIST) return AfterFailedRename(attempt);
  const Found found = Examine(attempt);
  if (found == Found::kNothing) outcome_ = Course::Outcome::kGone;
  return found != Found::kFailure;
}

// Decides whether to skip the name. To rename an item that is delayed or unreadable, and then to rename it
// back, would wake all other workers, and theirs would wake this one. False: stop; batch.failure has the
// reason.
bool RenameClaimer::Look(Attempt& attempt, bool* skip) {
  const Listing::Entry& entry = attempt.entry;
  struct stat& named = attempt.looked;
  const int queue = directory_.fd(Place::kQueue);
  *skip = true;
  if (FSQ_CALL("claim.look", ::fstatat(queue, entry.name, &named, AT_SYMLINK_NOFOLLOW)) == -1)
    return Gone() || Stop("fstatat", entry);
  if (!S_ISREG(named.st_mode)) {
    NoteForeign(entry, platform::TypeOfMode(named.st_mode));
  } else if (FSQ_ANSWER("claim.look", IsDelayed(named))) {
    NoteDelayed(entry, named);
  } else if (!MayRead(entry, named)) {
    NoteUnreadable("faccessat", entry);
  } else {
    *skip = false;
  }
  return true;
}

bool RenameClaimer::MayRead(const Listing::Entry& entry, const struct stat& named) const {
  using Reach = platform::FileSystem::Reach;
  // A server may refuse root.
  if (user_ == 0 && directory_.file_system().reach == Reach::kLocal) return true;
  if (user_ == named.st_uid && (named.st_mode & S_IRUSR) != 0) return true;
  const int queue = directory_.fd(Place::kQueue);
  return FSQ_CALL("claim.access", ::faccessat(queue, entry.name, R_OK, AT_EACCESS)) == 0 || errno != EACCES;
}

int RenameClaimer::Rename(const std::string& name) const {
  const int queue = directory_.fd(Place::kQueue);
  const int mine = batch_.holder->fd();
  const auto is_made = [&] {
    struct stat info;
    return LookAt(mine, name, &info) == 0;
  };
  if (!directory_.lacks_exclusive_rename()) {
    const int renamed = RetryUnlessMade(
        [&] {
          return FSQ_CALL_ONCE(
              "claim.rename", FSQ_CALL_ONCE("claim.exclusive", platform::RenameExclusive(
                                                                   queue, name.c_str(), mine, name.c_str())));
        },
        is_made);
    if (renamed == 0 || !platform::LacksExclusiveRename(errno)) return renamed;
    directory_.NoteExclusiveRename(true);
  }
  // Replaces nothing: no other process puts files there, and this one knows the names that it has put there,
  // and those that it may have put there by a call that has failed.
  return RetryUnlessMade(
      [&] { return FSQ_CALL_ONCE("claim.rename", ::renameat(queue, name.c_str(), mine, name.c_str())); },
      is_made);
}

// Whatever the error number is: the server may have renamed the file. False: stop; batch.failure has the
// reason.
bool RenameClaimer::AfterFailedRename(Attempt& attempt) {
  const int error = errno;
  WorkerDirectory& worker = *batch_.holder;
  worker.Doubt(attempt.name);
  attempt.is_kept = true;
  if ((error == ENOENT || error == ESTALE) && worker.HasVanished()) {
    directory_.ForgetWorker();
    errno = EOWNERDEAD;
    return Stop("renameat2", attempt.entry);
  }
  errno = error;
  if (Gone()) return true;
  // In a sticky directory, only the owner of a file may rename it.
  if (error != EPERM) return Stop("renameat2", attempt.entry);
  NoteUnreadable("renameat2", attempt.entry);
  return true;
}

RenameClaimer::Found RenameClaimer::FailMine(const char* syscall, Attempt& attempt) {
  batch_.failure = Failure{LastError(), syscall, batch_.holder->PathOf(attempt.name), {}};
  GiveBack(attempt);
  return Found::kFailure;
}

// Claims the file that is in the directory of this worker, or gives it back.
RenameClaimer::Found RenameClaimer::Examine(Attempt& attempt) {
  WorkerDirectory& worker = *batch_.holder;
  const Listing::Entry& entry = attempt.entry;
  const Descriptor opened(
      FSQ_CALL("claim.open", platform::OpenBriefly(worker.fd(), attempt.name.c_str(),
                                                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                                                   directory_.file_system())));
  if (!opened.valid()) {
    if (errno == ENOENT) return Found::kNothing;
    // Another file got this name after the look.
    const bool is_foreign = errno == ELOOP || errno == ENXIO || errno == EISDIR;
    if (!is_foreign && errno != EACCES && errno != EPERM) return FailMine("openat", attempt);
    if (is_foreign)
      NoteForeign(entry, platform::EntryType::kUnknown);
    else
      NoteUnreadable("openat", entry);
    GiveBack(attempt);
    return Found::kFile;
  }
  struct stat info;
  if (FSQ_CALL("claim.fstat", ::fstat(opened.get(), &info)) == -1) return FailMine("fstat", attempt);
  if (!S_ISREG(info.st_mode) || (IsDelayed(info) && !IsAsLooked(info, attempt.looked))) {
    if (S_ISREG(info.st_mode))
      NoteDelayed(entry, info);
    else
      NoteForeign(entry, platform::TypeOfMode(info.st_mode));
    GiveBack(attempt);
    return Found::kFile;
  }
  // The producer may have removed its name in tmp/ meanwhile, on another machine.
  if (info.st_nlink > 1) {
    (void)platform::Refresh(opened.get());
    if (FSQ_CALL("claim.fstat", ::fstat(opened.get(), &info)) == -1) return FailMine("fstat", attempt);
  }
  if (info.st_nlink > 1) {
    if (worker.IsLost()) return FailMine("fstat", attempt);
    const int completed =
        CompleteHalfMove(directory_, {.holder = &worker, .name = attempt.name, .info = info});
    if (completed == -1) return FailMine("unlinkat", attempt);
    if (completed == 1) {
      NoteCompleted(entry);
      return Found::kFile;
    }
  }
  Claim claim;
  claim.name = attempt.name;
  claim.descriptor.Remember(info);
  claim.size = info.st_size;
  claim.position = attempt.position;
  claim.claimed_us = ChangedUs(info);
  claim.descriptor.RememberClaim(claim.claimed_us);
  Read(claim, opened.get());
  batch_.claims.push_back(std::move(claim));
  attempt.is_kept = true;
  outcome_ = Course::Outcome::kClaimed;
  return Found::kFile;
}

// If that fails, the name is in doubt: the next listing has it, and its claim tries again.
void RenameClaimer::GiveBack(Attempt& attempt) {
  attempt.is_kept = true;
  std::vector<Finish> moves(1);
  Finish& move = moves.front();
  move.holder = batch_.holder;
  move.from = move.to = attempt.name;
  move.to_place = Place::kQueue;
  struct stat info;
  if (LookAt(batch_.holder->fd(), attempt.name, &info) == 0) {
    move.descriptor.Remember(info);
    FinishAll(directory_, moves, false);
  }
  if (!move.moved) batch_.holder->Doubt(attempt.name);
}

}  // namespace fsq
