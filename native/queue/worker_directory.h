// The directory of one worker in claimed/, of a queue whose claims are renames: the items that it has
// claimed, and `.lock`, which is locked for as long as the worker lives.
//
// A server can give the lock away while the worker still works. So the directory also has `.owned`, which a
// worker that takes the directory over removes before it moves any item. As long as it is there, no other
// worker has moved one. It is made before `.lock`, and never again.
//
//     made ── the first claim of a queue handle ──> its own ── Remove() ──> removed
//                                                     │
//                                                     └── the worker ends: its lock is free
//     left by a dead worker ── another worker gets the lock ──> seized ── Remove() ──> removed
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "platform/platform.h"
#include "queue/fence.h"

namespace fsq {

class QueueDirectory;

class WorkerDirectory {
 public:
  static constexpr const char* kLockName = ".lock";
  static constexpr const char* kOwnedName = ".owned";
  static bool IsItem(std::string_view name) { return name != kLockName && name != kOwnedName; }

  // Whether a directory in claimed/ can be one of a worker: HOST-PID-RANDOM. A directory that a person has
  // put there is not, so its files are no items.
  static bool IsName(std::string_view name);

  // Makes a directory of a new name, and locks it.
  static std::shared_ptr<WorkerDirectory> Make(const QueueDirectory& queue, int64_t lease_ms,
                                               Failure* failure);

  // Locks the directory of a dead worker. `claimed`: a descriptor of claimed/. Null: its worker lives, or
  // another worker was faster, or `failure`.
  static std::shared_ptr<WorkerDirectory> Seize(const QueueDirectory& queue, int claimed,
                                                const std::string& name, int64_t lease_ms, Failure* failure);

  // Locks `.lock` in the directory of another worker, given by a descriptor. Invalid: the worker lives, or
  // another one is taking it over, or that is not known.
  static Descriptor LockUnused(int directory);

  WorkerDirectory(const QueueDirectory& queue, std::string name);
  ~WorkerDirectory();
  WorkerDirectory(const WorkerDirectory&) = delete;
  WorkerDirectory& operator=(const WorkerDirectory&) = delete;

  int fd() const { return directory_.get(); }
  // HOST-PID-RANDOM
  const std::string& name() const { return name_; }
  // For messages: "claimed/NAME/ITEM".
  std::string PathOf(std::string_view item) const { return JoinPath(path_, item); }
  int lock_descriptor() const { return fence_->descriptor(); }

  // Whether the items may belong to another worker by now. Costs no system call on Linux.
  bool IsLost() const { return fence_->HasFallen(); }
  int64_t LeftMs() const { return fence_->LeftMs(); }

  // Whether the directory was removed, as by a person.
  bool HasVanished() const;

  // Proves that no other worker has begun to take this directory over: so a name that is gone was moved by
  // this worker. 1 proved; 0 not proved: then the fence falls; -1 errno.
  //
  // Removes `.owned`, because every look at it can come from a cache, and the server decides a removal. So
  // this works once. The second time, the worker loses its claims, and begins anew with another directory.
  int ProveOwned();

  // Waits until the clock of the file system is past a claim, given by its number. An item that goes back to
  // queue/ after that gets a greater number by its next claim. Many clocks stand still for some milliseconds.
  void AwaitClock(int64_t claimed_us);

  // Calls `visit` for each item. 0, or -1 with errno. Never from a cache of this machine.
  template <typename Callback>
  int Visit(Callback visit) const {
    const Descriptor stream(OpenStream());
    if (!stream.valid()) return -1;
    return platform::ReadEntries(stream.get(), [&](const platform::DirectoryEntry& entry) {
      return !IsItem(entry.name) || visit(entry);
    });
  }

  // Ends the use of the directory: frees the lock, after it has removed the directory unless that has items
  // (ENOTEMPTY).
  Failure Remove();

  // The names that this worker has in hand. Several threads may claim and finish at once, so a name is taken
  // before its file gets here, and dropped after the file has left.
  //
  // A name is in doubt if the rename to here has failed: a server that was asked again after its answer was
  // lost says that there is no such file, although it is here.
  enum class Taken { kFree, kInDoubt, kHeld };
  Taken Take(const std::string& name);
  void Drop(const std::string& name);
  void Doubt(const std::string& name);

  bool HasDoubts() const;
  // Settles the doubts: returns the names that are here although this worker does not have them in hand.
  // Afterwards only these are in doubt.
  std::vector<std::string> FindStrays();

 private:
  Failure FailureOf(const char* syscall, std::string_view item = {}) const {
    return Failure{LastError(), syscall, item.empty() ? path_ : PathOf(item), {}};
  }
  int OpenStream() const;
  Failure OpenIn(int claimed);
  Failure MakeIn(const QueueDirectory& queue, Descriptor* lock);
  bool HasItems() const;
  bool HasLock(const QueueDirectory& queue, int lock) const;
  Failure Unmake();
  int RemoveEntry(const char* point, int directory, const char* name, int flags) const;

  const std::string name_;
  const std::string path_;
  Descriptor claimed_;    // claimed/
  Descriptor directory_;  // claimed/NAME
  std::shared_ptr<Fence> fence_;
  std::atomic<int64_t> clock_us_{0};  // the latest reading

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_set<std::string> held_;
  std::unordered_set<std::string> doubtful_;
};

}  // namespace fsq
