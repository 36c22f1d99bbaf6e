// An open queue directory: every call after this one is relative to it, so that a rename of the path changes
// nothing half-way.
#pragma once

#include <sys/stat.h>

#include <array>
#include <atomic>
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

// Bytes of a file name that the standard allows.
constexpr size_t kNameMax = 255;

class QueueDirectory {
 public:
  // `names`: of queue/, tmp/, done/ and fail/; `down` and `marker`: of the file that stops scans and of the
  // one that asks for fcntl locks.
  struct Layout {
    std::array<std::string, kPlaces> names;
    std::string down;
    std::string marker;
  };

  static std::shared_ptr<QueueDirectory> Open(std::string path, Layout layout, bool locking,
                                              Failure* failure);

  int fd(Place place) const { return places_[static_cast<size_t>(place)].get(); }
  LockKind lock_kind() const { return lock_kind_; }
  // That of queue/; the others must be on the same mount.
  const platform::FileSystem& file_system() const { return file_system_; }
  // For messages: "queue/NAME".
  std::string PathOf(Place place, std::string_view name) const { return JoinPath(NameOf(place), name); }
  const std::string& NameOf(Place place) const { return layout_.names[static_cast<size_t>(place)]; }

  // 1: the file that stops scans is there; 0: it is not; -1: errno.
  int IsDown() const;

  // 0: workers of this queue still use the kind of lock that was found at opening; -1 with ESTALE: another by
  // now.
  int CheckLockKind() const;

  // The most bytes that a name can have: what the standard allows, or less on some file systems (eCryptfs).
  size_t name_max() const { return name_max_; }

  // The directory was removed under us: nothing can be added to it any more.
  bool Vanished(Place place) const;

  // 0: the path still names the open queue/; -1 with ESTALE: it names another or none (uninstalled, installed
  // anew).
  int CheckCurrent() const;

  // The same for all four directories: one that was lost and put back is another.
  int CheckAllCurrent() const;

  // The directory that has this name now, opened anew.
  Descriptor OpenAgain(Place place) const;

  // What has the name now, as lstat(2). Where other machines may change the directory, they are asked before:
  // a lock that has just been got says nothing of the names that this machine remembers. `directory`: one of
  // this queue's.
  int Look(const char* point, int directory, const char* name, struct stat* info) const;

  // Another name of the same inode: 1 yes, 0 no or not there, -1 errno.
  int HasTwin(Place place, const char* name, const struct stat& info) const;

  // RENAME_NOREPLACE works here.
  bool RenamesExclusively() const;

  platform::LinkWay link_way() const { return link_way_.load(std::memory_order_relaxed); }
  void set_link_way(platform::LinkWay way) { link_way_.store(way, std::memory_order_relaxed); }

  // See platform::WritesOut. Looked up at the first use.
  bool WritesOut() const;

  // The umask leaves `mode` as it is, as far as is known.
  bool CreatesExactly(mode_t mode) const;
  void NoteInexactMode() { inexact_modes_.store(true, std::memory_order_relaxed); }

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
  enum class Known : int { kUnknown, kNo, kYes };
  mutable std::atomic<Known> writes_out_{Known::kUnknown};
};

}  // namespace fsq
