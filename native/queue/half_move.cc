#include "queue/half_move.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "files/file_info.h"
#include "names/tries.h"
#include "queue/worker_directory.h"

namespace fsq {
namespace {

class Completer {
 public:
  Completer(const QueueDirectory& directory, const HalfMove& item) : directory_(directory), item_(item) {}

  int Run();

 private:
  int RemoveOurs() const;
  int RemoveOther(int directory, const std::string& name) const;
  int LookInQueue() const;
  int LookInClaimed() const;
  int FindByInode(int directory, std::string_view but, std::string* found) const;
  int HasTwin(int directory, const std::string& name) const;

  const QueueDirectory& directory_;
  const HalfMove& item_;
};

// If one inode has two names in queue/, a retry was about to leave the one with fewer tries.
bool WasLeft(std::string_view name, std::string_view other) {
  const auto tries = TriesOf(name);
  const auto other_tries = TriesOf(other);
  return tries && other_tries && *tries < *other_tries;
}

// ENOENT: an interrupted call removed it, or another process did.
int Completer::RemoveOther(int directory, const std::string& name) const {
  const int removed = FSQ_CALL("claim.complete", ::unlinkat(directory, name.c_str(), 0));
  return removed == 0 || errno == ENOENT ? 0 : -1;
}

int Completer::RemoveOurs() const {
  const int own = item_.holder == nullptr ? directory_.fd(Place::kQueue) : item_.holder->fd();
  return RemoveOther(own, item_.name) == 0 ? 1 : -1;
}

int Completer::HasTwin(int directory, const std::string& name) const {
  return directory_.HasTwin(directory, name.c_str(), item_.info);
}

// Finds a name of this inode in a directory, other than `but`: 1 found, 0 there is none, -1 errno.
int Completer::FindByInode(int directory, std::string_view but, std::string* found) const {
  const Descriptor stream(
      FSQ_CALL("list.open", ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (!stream.valid()) return errno == ENOENT ? 0 : -1;
  found->clear();
  const int result = platform::ReadEntries(stream.get(), [&](const platform::DirectoryEntry& entry) {
    if (entry.inode == item_.info.st_ino && entry.name != but) *found = std::string(entry.name);
    return found->empty();
  });
  if (result == -1) return errno == ENOENT ? 0 : -1;
  // The inode number alone does not identify the device.
  return found->empty() ? 0 : HasTwin(directory, *found);
}

// By the names that a give-back and a retry give.
int Completer::LookInQueue() const {
  const int queue = directory_.fd(Place::kQueue);
  const int same = item_.is_dead ? HasTwin(queue, item_.name) : 0;
  if (same != 0) return same == 1 ? RemoveOurs() : -1;
  for (const int step : {1, -1}) {
    const auto other = WithTriesChanged(item_.name, step);
    const int twin = other ? HasTwin(queue, *other) : 0;
    if (twin == -1) return -1;
    if (twin == 1) return step == 1 ? RemoveOurs() : RemoveOther(queue, *other);
  }
  return 0;
}

// A worker that gave the item back has died before it removed its own name, and another has claimed the item
// since. The one that claims has the item, and the other name is removed.
int Completer::LookInClaimed() const {
  const Descriptor claimed(directory_.ListClaimed());
  if (!claimed.valid()) return errno == ENOENT ? 0 : -1;
  std::vector<std::string> workers;
  const int listed = platform::ReadEntries(claimed.get(), [&](const platform::DirectoryEntry& entry) {
    if (entry.name != item_.holder->name()) workers.emplace_back(entry.name);
    return true;
  });
  if (listed == -1) return -1;
  for (const std::string& worker : workers) {
    const Descriptor other(
        FSQ_CALL("worker.open",
                 ::openat(claimed.get(), worker.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
    // Removed meanwhile, or not the directory of a worker.
    if (!other.valid()) continue;
    std::string name;
    const int twin = FindByInode(other.get(), {}, &name);
    if (twin == -1) return -1;
    if (twin == 0) continue;
    if (item_.is_dead) {
      // The other worker may be dead, too, and be taken over at this moment. If each of the two that take
      // over removed the name that it has seized, the item would be lost. So this one removes its name only
      // while no process has the other directory. Else the item stays: the worker there removes this name
      // when it claims the item, or the next look for dead workers decides.
      const Descriptor lock = WorkerDirectory::LockUnused(other.get());
      return lock.valid() ? RemoveOurs() : 1;
    }
    if (WasLeft(item_.name, name)) return RemoveOurs();
    if (RemoveOther(other.get(), name) == -1) return -1;
  }
  return 0;
}

int Completer::Run() {
  const int building = HasTwin(directory_.fd(Place::kTmp), item_.name);
  if (building != 0) return building == 1 ? 0 : -1;
  // A worker that claims the item moves it from queue/ to claimed/. If claimed/ were looked at first, both
  // looks could miss it, and the item would be given back while that worker has it.
  if (item_.is_dead) {
    if (const int known = LookInQueue(); known != 0) return known;
  }
  // Before done/ and fail/: a worker that has lost its lock may just be finishing. Once its name is gone, it
  // cannot, and the looks after that see what it has done.
  if (item_.holder != nullptr) {
    if (const int known = LookInClaimed(); known != 0) return known;
  }
  for (const Place place : {Place::kDone, Place::kFail}) {
    const int twin = HasTwin(directory_.fd(place), item_.name);
    if (twin != 0) return twin == 1 ? RemoveOurs() : -1;
  }
  if (const int known = LookInQueue(); known != 0) return known;
  // After a collision the other name differs in more than its directory. Only a move by link can have been
  // cut in half then, so if renames are exclusive, there is no need to search directories of any size.
  if (directory_.RenamesExclusively()) return 0;
  for (const Place place : {Place::kDone, Place::kFail, Place::kQueue}) {
    const bool is_own = place == Place::kQueue && item_.holder == nullptr;
    std::string other;
    const int twin =
        FindByInode(directory_.fd(place), is_own ? std::string_view(item_.name) : std::string_view(), &other);
    if (twin == -1) return -1;
    if (twin == 0) continue;
    if (place != Place::kQueue || item_.is_dead || WasLeft(item_.name, other)) return RemoveOurs();
    if (WasLeft(other, item_.name)) return RemoveOther(directory_.fd(place), other);
  }
  return 0;
}

}  // namespace

int CompleteHalfMove(const QueueDirectory& directory, const HalfMove& item) {
  return Completer(directory, item).Run();
}

}  // namespace fsq
