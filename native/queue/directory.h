// An open queue directory. Every later call is relative to it, so that renaming the path in the middle of an
// operation changes nothing.
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "files/file_info.h"
#include "files/file_lock.h"
#include "platform/platform.h"

namespace fsq {

enum class Place : int { kQueue, kTmp, kDone, kFail };
constexpr size_t kPlaces = 4;

// The longest file name that the standard allows, in bytes.
constexpr size_t kNameMax = 255;

class WorkerDirectory;

class QueueDirectory {
 public:
  // `names`: of queue/, tmp/, done/ and fail/. `down`: the file that stops scans. `marker`: the file that
  // asks for fcntl locks. `rename_marker`: the file that asks for claims by renaming; such a queue has a
  // directory `claimed`, and its scans stop at `rename_down`. Its `down` always exists, as a guard: a worker
  // that does not know such queues does not scan them. `parent`: the path of the queue whose host queue this
  // is, and which stops the scans of this one, too, while it is down; empty: none.
  struct Layout {
    std::array<std::string, kPlaces> names;
    std::string down;
    std::string marker;
    std::string rename_marker;
    std::string claimed;
    std::string rename_down;
    std::string parent;
  };

  static std::shared_ptr<QueueDirectory> Open(std::string path, Layout layout, bool locking,
                                              Failure* failure);

  int fd(Place place) const { return places_[static_cast<size_t>(place)].get(); }
  // Of the directory that has the others.
  int root() const { return root_.get(); }
  LockKind lock_kind() const { return lock_kind_; }
  // Whether workers claim an item by renaming it into their own directory, without a lock on it.
  bool claims_by_rename() const { return claims_by_rename_; }
  // The file system of queue/. The other directories must be on the same mount.
  const platform::FileSystem& file_system() const { return file_system_; }
  // For messages: "queue/NAME".
  std::string PathOf(Place place, std::string_view name) const { return JoinPath(NameOf(place), name); }
  const std::string& NameOf(Place place) const { return layout_.names[static_cast<size_t>(place)]; }

  // Looks whether the down file exists, here or in the parent. 1: it does; 0: it does not; -1: errno.
  int IsDown() const;

  // The same, without a look if the last one is less than 10 ms old and found no down file: a look before
  // each item would be a tenth of its calls.
  int IsDownLately() const;

  // This process has taken a queue down. It may be any: no look from before counts.
  static void NoteDown();

  // 0: workers still claim items in the way that was found when the queue was opened; -1 with ESTALE: they
  // claim in another way now.
  int CheckClaims() const;
  // For messages: the file that CheckClaims looks for.
  const std::string& marker() const { return claims_by_rename_ ? layout_.rename_marker : layout_.marker; }

  // The longest name in bytes: the limit of the standard, or less on some file systems (eCryptfs).
  size_t name_max() const { return name_max_; }

  // Whether the open directory has been removed, so that nothing can be added to it any more.
  bool Vanished(Place place) const;

  // 0: the path still names the open queue/; -1 with ESTALE: it names another directory or none (the queue
  // was uninstalled, or installed again).
  int CheckCurrent() const;

  // The same for all four directories. One that was removed and created again is a different directory.
  int CheckAllCurrent() const;

  // Opens the directory that has this name now.
  Descriptor OpenAgain(Place place) const;

  // lstat(2) of a name in `directory`, which is one of this queue's directories. If other machines may change
  // the directory, revalidates it first: getting a lock does not refresh the names that this machine has
  // cached.
  int Look(const char* point, int directory, const char* name, struct stat* info) const;

  // Whether `name` in `directory` is a name of the same inode: 1 yes, 0 no or the name does not exist, -1
  // errno.
  int HasTwin(int directory, const char* name, const struct stat& info) const;

  // Whether RENAME_NOREPLACE works here.
  bool RenamesExclusively() const;
  // Whether the file system has refused that flag.
  bool lacks_exclusive_rename() const { return lacks_exclusive_rename_.load(std::memory_order_relaxed); }
  void NoteExclusiveRename(bool lacks) const {
    lacks_exclusive_rename_.store(lacks, std::memory_order_relaxed);
  }

  platform::LinkWay link_way() const { return link_way_.load(std::memory_order_relaxed); }
  void set_link_way(platform::LinkWay way) { link_way_.store(way, std::memory_order_relaxed); }

  // See platform::WritesOut. Determined at first use.
  bool WritesOut() const;

  // Whether files get exactly this mode, as far as is known: the umask does not change it.
  bool CreatesExactly(mode_t mode) const;
  void NoteInexactMode() { inexact_modes_.store(true, std::memory_order_relaxed); }

  // Whether a file of this mode that was opened in `place` at `opened_ms` (NowMs) has exactly that mode,
  // going by a look at another file less than 10 ms before. A umask that native code of this process sets,
  // and a default ACL that another process sets, may go unnoticed for that time. False: look at the file.
  bool MadeExactly(Place place, mode_t mode, int64_t opened_ms) const;
  // A look at such a file has found that mode, or another one.
  void NoteLook(Place place, mode_t mode, int64_t opened_ms, bool is_exact);
  // This process sets its umask. Call it before and after.
  static void NoteUmask();

  // All below is for queues whose claims are renames.

  // The directory of this worker in claimed/. Makes it at first use. Null: `failure`; EOWNERDEAD, once: the
  // lock of the last one may be lost, and with it the items in it.
  std::shared_ptr<WorkerDirectory> Worker(Failure* failure) const;
  // The same, without making one. Null: there is none.
  std::shared_ptr<WorkerDirectory> KnownWorker() const;
  // Lets the next use make another directory.
  std::shared_ptr<WorkerDirectory> ForgetWorker() const;

  // Whether a claim has failed that may have been made all the same. The next listing finds out.
  bool HasDoubts() const;
  std::vector<std::string> FindStrays() const;

  // See Fence. Counts for the next directory.
  void set_lease_ms(int64_t lease_ms) { lease_ms_ = lease_ms; }
  int64_t lease_ms() const { return lease_ms_; }

  // For messages: "claimed/NAME".
  std::string PathOfClaimed(std::string_view name) const { return JoinPath(layout_.claimed, name); }
  // Opens claimed/. Makes it if it is missing.
  Failure OpenClaimed(Descriptor* opened) const;
  // Opens claimed/ for a listing. ENOENT: there is none.
  Descriptor ListClaimed() const;
  // Makes the guard file if it is missing.
  Failure MakeGuard() const;

 private:
  // If other machines may change the queue, revalidates its directory, unless that was done a moment ago:
  // later looks at its names are not answered from this machine's cache. A hint where it is not supported.
  void RefreshLately() const;
  int HasMarker(const std::string& marker) const;
  int HasFile(int directory, const std::string& name) const;
  int IsParentDown() const;
  int FindLockKind(LockKind* kind) const;

  std::string path_;
  std::string queue_path_;
  Layout layout_;
  bool locking_ = true;
  Descriptor root_;
  Descriptor parent_;
  std::array<Descriptor, kPlaces> places_;
  std::array<FileId, kPlaces> ids_;
  int umask_ = -1;
  size_t name_max_ = kNameMax;
  LockKind lock_kind_ = LockKind::kFlock;
  bool claims_by_rename_ = false;
  platform::FileSystem file_system_;
  std::atomic<platform::LinkWay> link_way_{platform::FirstLinkWay()};
  std::atomic<bool> inexact_modes_{false};
  // When the file was opened whose look found its mode exact, in milliseconds, and below that the mode; 0:
  // none.
  std::array<std::atomic<int64_t>, kPlaces> exact_looks_{};
  // When the last look that found no down file began; 0: there was none.
  mutable std::atomic<int64_t> up_at_ns_{0};
  mutable std::atomic<int64_t> refreshed_at_ns_{0};
  enum class Known : int { kUnknown, kNo, kYes };
  mutable std::atomic<Known> writes_out_{Known::kUnknown};
  mutable std::atomic<bool> lacks_exclusive_rename_{false};

  std::atomic<int64_t> lease_ms_{0};
  mutable std::mutex making_worker_;  // held while the directory is made, which can take long
  mutable std::mutex worker_mutex_;
  mutable std::shared_ptr<WorkerDirectory> worker_;  // guarded by worker_mutex_
};

}  // namespace fsq
