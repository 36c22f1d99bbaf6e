// An open queue directory. Every later call is relative to it, so that renaming the path in the middle of an
// operation changes nothing.
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

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

class QueueDirectory {
 public:
  // `names`: of queue/, tmp/, done/ and fail/. `down`: the file that stops scans. `marker`: the file that
  // asks for fcntl locks.
  struct Layout {
    std::array<std::string, kPlaces> names;
    std::string down;
    std::string marker;
  };

  static std::shared_ptr<QueueDirectory> Open(std::string path, Layout layout, bool locking,
                                              Failure* failure);

  int fd(Place place) const { return places_[static_cast<size_t>(place)].get(); }
  LockKind lock_kind() const { return lock_kind_; }
  // The file system of queue/. The other directories must be on the same mount.
  const platform::FileSystem& file_system() const { return file_system_; }
  // For messages: "queue/NAME".
  std::string PathOf(Place place, std::string_view name) const { return JoinPath(NameOf(place), name); }
  const std::string& NameOf(Place place) const { return layout_.names[static_cast<size_t>(place)]; }

  // Looks whether the down file exists. 1: it does; 0: it does not; -1: errno.
  int IsDown() const;

  // The same, without a look if the last one is less than 10 ms old and found no down file: a look before
  // each item would be a tenth of its calls.
  int IsDownLately() const;

  // This process has taken a queue down. It may be any: no look from before counts.
  static void NoteDown();

  // 0: the queue still uses the kind of lock that was found when it was opened; -1 with ESTALE: it uses
  // another one now.
  int CheckLockKind() const;

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

  // Whether `name` is another name of the same inode: 1 yes, 0 no or the name does not exist, -1 errno.
  int HasTwin(Place place, const char* name, const struct stat& info) const;

  // Whether RENAME_NOREPLACE works here.
  bool RenamesExclusively() const;

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

 private:
  int FindLockKind(LockKind* kind) const;

  std::string path_;
  std::string queue_path_;
  Layout layout_;
  bool locking_ = true;
  Descriptor root_;
  std::array<Descriptor, kPlaces> places_;
  std::array<FileId, kPlaces> ids_;
  int umask_ = -1;
  size_t name_max_ = kNameMax;
  LockKind lock_kind_ = LockKind::kFlock;
  platform::FileSystem file_system_;
  std::atomic<platform::LinkWay> link_way_{platform::FirstLinkWay()};
  std::atomic<bool> inexact_modes_{false};
  // When the file was opened whose look found its mode exact, in milliseconds, and below that the mode; 0:
  // none.
  std::array<std::atomic<int64_t>, kPlaces> exact_looks_{};
  // When the last look that found no down file began; 0: there was none.
  mutable std::atomic<int64_t> up_at_ns_{0};
  enum class Known : int { kUnknown, kNo, kYes };
  mutable std::atomic<Known> writes_out_{Known::kUnknown};
};

}  // namespace fsq
