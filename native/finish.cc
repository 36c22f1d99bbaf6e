#include "finish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fault_point.h"
#include "item_file.h"

namespace fsq {
namespace {

class Mover {
 public:
  Mover(const QueueDirectory& directory, Finish& item)
      : directory_(directory),
        item_(item),
        queue_(directory.fd(Place::kQueue)),
        target_(directory.fd(item.to_place)) {}

  Failure Move();

 private:
  Failure CheckOurs(struct stat* info) const;
  Failure MoveByLink() const;
  Failure ResolveCollision(const struct stat& info) const;
  Failure FailureOf(const char* syscall) const {
    return Failure{LastError(), syscall, directory_.PathOf(Place::kQueue, item_.from),
                   directory_.PathOf(item_.to_place, item_.to)};
  }
  template <typename Call>
  int Rename(Call call) const {
    return RetryUnlessMade([&] { return FSQ_CALL_ONCE("finish.rename", call()); },
                           [&] { return HasLeft() && HasArrived(); });
  }
  int RenameExclusive() const {
    return Rename(
        [&] { return platform::RenameExclusive(queue_, item_.from.c_str(), target_, item_.to.c_str()); });
  }
  int Link() const {
    return RetryUnlessMade(
        [&] {
          return FSQ_CALL_ONCE("finish.link",
                               ::linkat(queue_, item_.from.c_str(), target_, item_.to.c_str(), 0));
        },
        [&] { return HasTwoNames() && HasArrived(); });
  }
  int RemoveSource() const {
    return RetryUnlessMade(
        [&] { return FSQ_CALL_ONCE("finish.unlink", ::unlinkat(queue_, item_.from.c_str(), 0)); },
        [&] { return HasLeft(); });
  }
  bool HasLeft() const;
  bool HasArrived() const;
  bool HasTwoNames() const;

  const QueueDirectory& directory_;
  Finish& item_;
  const int queue_;
  int target_;
  Descriptor target_again_;  // of a directory that was lost and put back since
};

// The lock is advisory: somebody may have moved the file by hand, or a worker of another make may have put
// another item in its place, which a blind rename would carry off.
Failure Mover::CheckOurs(struct stat* info) const {
  if (RetryInterrupted(::fstat, item_.descriptor.get(), info) == -1) return FailureOf("fstat");
  if (!item_.descriptor.Is(*info)) {
    errno = EBADF;
    return FailureOf("fstat");
  }
  struct stat named;
  if (FSQ_CALL("finish.stat", ::fstatat(queue_, item_.from.c_str(), &named, AT_SYMLINK_NOFOLLOW)) == -1) {
    if (errno == ENOENT) errno = ESTALE;
    return FailureOf("fstatat");
  }
  if (named.st_dev == info->st_dev && named.st_ino == info->st_ino) return {};
  errno = ESTALE;
  return FailureOf("fstatat");
}

// What an interrupted call may have come to.
bool Mover::HasLeft() const {
  struct stat named;
  if (LookAt(queue_, item_.from, &named) == -1) return errno == ENOENT;
  return !item_.descriptor.Is(named);
}

bool Mover::HasArrived() const {
  struct stat named;
  return LookAt(target_, item_.to, &named) == 0 && item_.descriptor.Is(named);
}

bool Mover::HasTwoNames() const {
  struct stat own;
  return RetryInterrupted(::fstat, item_.descriptor.get(), &own) == 0 && own.st_nlink > 1;
}

Failure Mover::MoveByLink() const {
  // Nothing is kept of a discarded item. By way of tmp/ it would have two names in between, which a claim
  // could not tell from those of a producer that is about to remove its own.
  if (item_.discard) return RemoveSource() == 0 ? Failure{} : FailureOf("unlinkat");
  if (Link() == -1) {
    if (errno != EPERM) return FailureOf("linkat");
    // fs.protected_hardlinks: only the owner may link. Nothing exclusive is left, so look first.
    struct stat other;
    if (LookAt(target_, item_.to, &other) == 0) {
      errno = EEXIST;
      return FailureOf("linkat");
    }
    const int renamed =
        Rename([&] { return ::renameat(queue_, item_.from.c_str(), target_, item_.to.c_str()); });
    return renamed == 0 ? Failure{} : FailureOf("renameat");
  }
  return RemoveSource() == 0 ? Failure{} : FailureOf("unlinkat");
}

// The name is taken. By this very inode, if a move was cut in half: rename(2) would then do nothing and say
// that it did.
Failure Mover::ResolveCollision(const struct stat& info) const {
  struct stat other;
  if (LookAt(target_, item_.to, &other) == -1) {
    // Taken a moment ago, gone now: the next free name will do.
    if (errno == ENOENT) errno = EEXIST;
    return FailureOf("renameat2");
  }
  const bool twin = item_.descriptor.Is(other);
  // Its only name must never be taken from it, whatever asked for a move onto itself.
  if (twin && info.st_nlink < 2) {
    errno = EINVAL;
    return FailureOf("renameat2");
  }
  if (twin) return RemoveSource() == 0 ? Failure{} : FailureOf("unlinkat");
  errno = EEXIST;
  return FailureOf("renameat2");
}

Failure Mover::Move() {
  struct stat info;
  if (Failure failure = CheckOurs(&info)) return failure;
  if (item_.due_ms != 0 && FSQ_CALL("finish.utimens", SetDue(item_.descriptor.get(), item_.due_ms)) == -1) {
    if (errno != EPERM) return FailureOf("futimens");
    item_.undelayed = true;
  }
  int renamed = RenameExclusive();
  if (renamed == -1 && (errno == ENOENT || errno == EPERM) && directory_.Vanished(item_.to_place)) {
    target_again_ = directory_.OpenAgain(item_.to_place);
    if (!target_again_.valid()) return FailureOf("renameat2");
    target_ = target_again_.get();
    renamed = RenameExclusive();
  }
  Failure failure;
  if (renamed == -1) {
    failure =
        errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ? MoveByLink() : FailureOf("renameat2");
  }
  if (failure.error == -EEXIST) failure = ResolveCollision(info);
  if (!failure && item_.discard && renamed == 0) {
    // The item has left queue/; what stays in tmp/ if this fails, the sweeper takes.
    (void)FSQ_CALL("finish.unlink", ::unlinkat(target_, item_.to.c_str(), 0));
  }
  return failure;
}

}  // namespace

void FinishAll(const QueueDirectory& directory, std::vector<Finish>& items, bool durable) {
  for (Finish& item : items) {
    item.failure = Mover(directory, item).Move();
    item.moved = !item.failure;
    if (item.moved) item.descriptor.ResetVerified();
  }
  const bool any = std::any_of(items.begin(), items.end(), [](const Finish& item) { return item.moved; });
  if (!durable || !any) return;
  const int result = RetryInterrupted(
      [&] { return FSQ_CALL("finish.fsyncdir", platform::SyncDirectory(directory.fd(Place::kQueue))); });
  if (result == 0) return;
  const Failure failure = Failure{LastError(), "fsync", directory.NameOf(Place::kQueue)};
  for (Finish& item : items) {
    if (item.moved) item.failure = failure;
  }
}

}  // namespace fsq
