#include "queue/finish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "calls/fault_point.h"
#include "files/due_time.h"

namespace fsq {
namespace {

class Mover {
 public:
  Mover(const QueueDirectory& directory, Finish& item)
      : directory_(directory),
        item_(item),
        source_(item.holder ? item.holder->fd() : directory.fd(Place::kQueue)),
        target_(directory.fd(item.to_place)) {}

  Failure Move();

 private:
  Failure CheckHeld() const;
  Failure CheckOurs() const;
  Failure Remove() const;
  Failure MoveByLink() const;
  Failure RemoveLinked() const;
  int IsOurs(int directory, const std::string& name) const;
  Failure Resolve(const Failure& failure) const;
  Failure FailureOf(const char* syscall) const {
    const int error = LastError();
    return Failure{
        error, syscall,
        item_.holder ? item_.holder->PathOf(item_.from) : directory_.PathOf(Place::kQueue, item_.from),
        directory_.PathOf(item_.to_place, item_.to)};
  }
  template <typename Call>
  int Rename(Call call) const {
    return RetryUnlessMade([&] { return FSQ_CALL_ONCE("finish.rename", call()); },
                           [&] { return HasLeft() && IsOurs(target_, item_.to) == 1; });
  }
  Failure ProveMoved() const;
  int RenameExclusive() const;
  int Link() const {
    return RetryUnlessMade(
        [&] {
          return FSQ_CALL_ONCE("finish.link",
                               ::linkat(source_, item_.from.c_str(), target_, item_.to.c_str(), 0));
        },
        [&] { return HasTwoNames() && IsOurs(target_, item_.to) == 1; });
  }
  int RemoveSource() const {
    return RetryUnlessMade(
        [&] { return FSQ_CALL_ONCE("finish.unlink", ::unlinkat(source_, item_.from.c_str(), 0)); },
        [&] { return HasLeft(); });
  }
  // Whether an interrupted call has already taken effect. Where claims are renames, another worker may have
  // moved the item instead: so the call is repeated, and Resolve finds out which of the two it was.
  bool HasLeft() const { return !item_.holder && IsOurs(source_, item_.from) == 0; }
  bool HasTwoNames() const;
  int Stat(struct stat* info) const;
  int SetDueTime() const;
  bool KeepsDueTime() const;

  const QueueDirectory& directory_;
  Finish& item_;
  const int source_;
  int target_;
  Descriptor target_again_;  // opened again, if the directory was removed and created again
};

// No other process puts files into the directory of this worker, so it needs no look at the file.
Failure Mover::CheckHeld() const {
  if (!item_.holder->IsLost()) return {};
  errno = EOWNERDEAD;
  return FailureOf("renameat2");
}

// The lock is advisory: a person may have moved the file by hand, or a worker of another implementation may
// have put another item in its place. A blind rename would then move that item.
Failure Mover::CheckOurs() const {
  // Invalid: there is no such claim.
  if (item_.descriptor.lent() || !item_.descriptor.valid()) {
    struct stat info;
    if (FSQ_CALL("finish.fstat", ::fstat(item_.descriptor.get(), &info)) == -1) return FailureOf("fstat");
    if (!item_.descriptor.Is(info)) {
      errno = EBADF;
      return FailureOf("fstat");
    }
  }
  struct stat named;
  if (directory_.Look("finish.stat", source_, item_.from.c_str(), &named) == -1) {
    if (errno == ENOENT) errno = ESTALE;
    return FailureOf("fstatat");
  }
  if (item_.descriptor.Is(named)) return {};
  errno = ESTALE;
  return FailureOf("fstatat");
}

int Mover::Stat(struct stat* info) const {
  return item_.holder ? directory_.Look("finish.look", source_, item_.from.c_str(), info)
                      : RetryInterrupted(::fstat, item_.descriptor.get(), info);
}

bool Mover::HasTwoNames() const {
  struct stat own;
  return Stat(&own) == 0 && own.st_nlink > 1;
}

// CephFS keeps no time in the future: there an item is due at once.
bool Mover::KeepsDueTime() const {
  if (directory_.file_system().reach == platform::FileSystem::Reach::kLocal) return true;
  struct stat info;
  const int looked = FSQ_CALL("finish.delayed", Stat(&info));
  return FSQ_ANSWER("finish.delayed", looked == -1 || KeepsDue(info, item_.due_ms)) != 0;
}

int Mover::SetDueTime() const {
  return item_.holder ? SetDueAt(source_, item_.from, item_.due_ms)
                      : SetDue(item_.descriptor.get(), item_.due_ms);
}

// In a queue whose claims are renames, a file system that has refused the flag is not asked again: before it
// refuses, the kernel asks the server for both names.
int Mover::RenameExclusive() const {
  if (item_.holder && directory_.lacks_exclusive_rename()) {
    errno = EINVAL;
    return -1;
  }
  const int renamed = Rename(
      [&] { return platform::RenameExclusive(source_, item_.from.c_str(), target_, item_.to.c_str()); });
  if (renamed == -1 && platform::LacksExclusiveRename(errno)) directory_.NoteExclusiveRename(true);
  return renamed;
}

// Nothing of a discarded item is kept, so one unlink is enough. By way of tmp/ it would take two calls, which
// lock both directories, and a crash between them would leave a file. Neither way protects a file that a
// program without the lock puts in the place of the item after the look.
Failure Mover::Remove() const {
  Failure failure = RemoveSource() == 0 ? Failure{} : FailureOf("unlinkat");
  return failure.error == -ENOENT || failure.error == -ESTALE ? Resolve(failure) : failure;
}

Failure Mover::MoveByLink() const {
  if (Link() == -1) {
    if (errno != EPERM) return FailureOf("linkat");
    // fs.protected_hardlinks: only the owner may link. No exclusive call is left, so check the name first.
    struct stat other;
    if (LookAt(target_, item_.to, &other) == 0) {
      errno = EEXIST;
      return FailureOf("linkat");
    }
    const int renamed =
        Rename([&] { return ::renameat(source_, item_.from.c_str(), target_, item_.to.c_str()); });
    return renamed == 0 ? Failure{} : FailureOf("renameat");
  }
  return RemoveLinked();
}

// The item has its new name.
Failure Mover::RemoveLinked() const {
  if (RemoveSource() == 0) return {};
  const bool is_gone = errno == ENOENT || errno == ESTALE;
  // A worker that claimed the new name has completed this move.
  if (is_gone && item_.holder && item_.to_place == Place::kQueue) return {};
  return is_gone && item_.holder ? ProveMoved() : FailureOf("unlinkat");
}

// In a queue whose claims are renames, the item has left the directory of this worker. Unless another worker
// has taken the directory over, this move has done that, and its answer was lost.
Failure Mover::ProveMoved() const {
  const int proved = item_.holder->ProveOwned();
  if (proved == 0) errno = EOWNERDEAD;
  return proved == 1 ? Failure{} : FailureOf("unlinkat");
}

// Whether `name` is a name of the item: 1 yes, 0 no or it does not exist, -1 errno.
int Mover::IsOurs(int directory, const std::string& name) const {
  struct stat info;
  if (directory_.Look("finish.look", directory, name.c_str(), &info) == 0)
    return item_.descriptor.Is(info) ? 1 : 0;
  return errno == ENOENT || errno == ESTALE ? 0 : -1;
}

// A name already existed (EEXIST) or was missing (ENOENT, ESTALE). Either the call had already taken effect
// (it was repeated after a signal, or by the network), or another process was faster. The names decide which.
Failure Mover::Resolve(const Failure& failure) const {
  const auto as = [&](int error) {
    Failure resolved = failure;
    resolved.error = -error;
    return resolved;
  };
  const bool collided = failure.error == -EEXIST;
  // A move onto itself, whatever asked for it, must not remove the item's only name.
  const bool is_held = item_.holder != nullptr;
  if (collided && !is_held && item_.to_place == Place::kQueue && item_.to == item_.from) return as(EINVAL);
  const int at_source = IsOurs(source_, item_.from);
  const int at_target = at_source == -1 ? -1 : IsOurs(target_, item_.to);
  if (at_target == -1) return FailureOf("fstatat");
  if (collided) {
    if (at_target == 0) return failure;
    // Only the holder of the lock moves an item. Since it was not us, another worker has worked on it, too.
    if (at_source == 0) return is_held ? ProveMoved() : as(ESTALE);
    // Both names exist: a move was cut in half. rename(2) would do nothing and report success.
    struct stat info;
    if (Stat(&info) == -1) return FailureOf("fstat");
    if (info.st_nlink < 2) return as(EINVAL);
    return RemoveLinked();
  }
  if (at_source == 1) return as(ENOENT);  // the target directory has been removed
  if (is_held) {
    // Nothing is left of the item, neither here nor with another worker.
    if (directory_.Vanished(Place::kQueue)) return as(ESTALE);
    // In queue/, another worker may have claimed it since.
    const bool may_be_made = at_target == 1 || item_.discard || item_.to_place == Place::kQueue;
    return may_be_made ? ProveMoved() : as(EOWNERDEAD);
  }
  if (at_target == 1) return {};
  struct stat info;
  const bool nothing_left =
      RetryInterrupted(::fstat, item_.descriptor.get(), &info) == -1 ? errno == ESTALE : info.st_nlink == 0;
  return item_.discard && nothing_left ? Failure{} : as(ESTALE);
}

Failure Mover::Move() {
  if (Failure failure = item_.holder ? CheckHeld() : CheckOurs()) return failure;
  if (item_.discard) return Remove();
  if (item_.holder && item_.to_place == Place::kQueue)
    item_.holder->AwaitClock(item_.descriptor.claimed_us());
  if (item_.due_ms != 0 && FSQ_CALL("finish.utimens", SetDueTime()) == -1) {
    const bool has_left = item_.holder && (errno == ENOENT || errno == ESTALE);
    if (has_left) return Resolve(FailureOf("utimensat"));
    if (errno != EPERM) return FailureOf("futimens");
    item_.undelayed = true;
  }
  if (item_.due_ms != 0 && !item_.undelayed) item_.undelayed = !KeepsDueTime();
  int renamed = RenameExclusive();
  if (renamed == -1 && (errno == ENOENT || errno == EPERM || errno == ESTALE) &&
      directory_.Vanished(item_.to_place)) {
    // If the whole queue has been removed, there is none, and the item is gone, too.
    target_again_ = directory_.OpenAgain(item_.to_place);
    if (target_again_.valid()) {
      target_ = target_again_.get();
      renamed = RenameExclusive();
    }
  }
  Failure failure;
  if (renamed == -1) {
    failure = platform::LacksExclusiveRename(errno) ? MoveByLink() : FailureOf("renameat2");
  }
  if (failure.error == -EEXIST || failure.error == -ENOENT || failure.error == -ESTALE)
    failure = Resolve(failure);
  return failure;
}

// One fsync of each directory that items have left.
void SyncLeft(const QueueDirectory& directory, std::vector<Finish>& items) {
  std::vector<const WorkerDirectory*> synced;
  for (const Finish& first : items) {
    const WorkerDirectory* const holder = first.holder.get();
    if (!first.moved || std::find(synced.begin(), synced.end(), holder) != synced.end()) continue;
    synced.push_back(holder);
    const int left = holder == nullptr ? directory.fd(Place::kQueue) : holder->fd();
    if (FSQ_CALL("finish.fsyncdir", platform::SyncDirectory(left)) == 0) continue;
    const Failure failure = Failure{LastError(), "fsync",
                                    holder == nullptr ? directory.NameOf(Place::kQueue) : holder->PathOf("")};
    for (Finish& item : items) {
      if (item.moved && item.holder.get() == holder) item.failure = failure;
    }
  }
}

}  // namespace

void FinishAll(const QueueDirectory& directory, std::vector<Finish>& items, bool durable) {
  for (Finish& item : items) {
    // Not for a lost claim: the worker that has taken the item over logs how its attempt ends.
    if (item.log && !(item.holder && item.holder->IsLost())) AppendToLog(*item.log);
    item.failure = Mover(directory, item).Move();
    item.moved = !item.failure;
    if (!item.moved) continue;
    item.descriptor.ResetVerified();
    if (item.holder) item.holder->Drop(item.from);
  }
  if (durable) SyncLeft(directory, items);
}

}  // namespace fsq
