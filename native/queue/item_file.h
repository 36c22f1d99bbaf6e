// The file of an item before it has its name in queue/: created, filled and given its owner where no worker
// sees it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "calls/stopping.h"
#include "queue/directory.h"
#include "queue/new_name.h"

namespace fsq {

struct Draft;

struct Payload {
  enum class Kind { kEmpty, kBytes, kPath, kDescriptor, kDraft };

  Kind kind = Kind::kEmpty;
  std::string_view bytes;
  std::string path;              // of a regular file, whose content is copied
  int descriptor = -1;           // of a regular file, copied from its current offset on; the offset does not
                                 // change
  std::shared_ptr<Draft> draft;  // already written
};

// How a producer names its items, and which owner they get.
struct ItemForm {
  static constexpr int64_t kLeave = -1;

  NameForm names;

  int64_t user = kLeave;   // uid
  int64_t group = kLeave;  // gid
  mode_t mode = 0640;
  bool durable = true;
  bool plain_sync = false;  // fsync only, even if the file system supports WriteOut
  bool exact = false;  // the suffix of an item is its whole name: EEXIST if queue/, done/ or fail/ has it

  bool has_owner() const { return user != kLeave || group != kLeave; }
};

// An inode that is complete except for its name in queue/. The destructor leaves nothing behind: an unnamed
// inode disappears with its descriptor, and a name in tmp/ is removed.
class ItemFile {
 public:
  ItemFile() = default;
  ItemFile(ItemFile&& other) noexcept;
  ItemFile& operator=(ItemFile&& other) noexcept;
  ItemFile(const ItemFile&) = delete;
  ItemFile& operator=(const ItemFile&) = delete;
  ~ItemFile();

  // Creates an empty file. ESTALE: tmp/ was removed after it was opened. `name` is used in tmp/ if unnamed
  // inodes are not available; EEXIST then means that tmp/ already has this name. SetAttributes sets the final
  // mode. `durable`: Sync follows at the end, so the kernel writes large contents to the disk while they
  // come.
  static Failure Open(QueueDirectory& directory, platform::LinkWay way, const std::string& name, mode_t mode,
                      bool durable, ItemFile* file);

  // Appends. ECANCELED: it was asked to stop.
  Failure Write(const Payload& payload, Stopping stopping);

  // Appends a piece of contents that come one after the other.
  Failure Append(std::string_view piece);

  // Call it after the last write. Sets the owner, the mode and, for a delayed item, the time when it is due
  // (milliseconds since the epoch; 0: not delayed).
  Failure SetAttributes(const ItemForm& form, int64_t due_ms) const;

  // A hint that Sync follows soon.
  void StartSync() const { platform::StartWriteback(descriptor_.get()); }

  // Makes the content survive a power cut: on its own or, with `write_out` (see platform::WritesOut),
  // together with the name.
  Failure Sync(bool write_out) const;

  // Makes the name survive, too, after Sync with `write_out`. 0, or -1 with errno; never repeated.
  int SyncName() const;

  // Tries once to link the file: 0, or -1 with errno. ENOTSUP: this inode can never get a name here, so the
  // item must be built again in tmp/. ESTALE: queue/ was removed after it was opened.
  int Link(const std::string& name);

  bool valid() const { return descriptor_.valid(); }
  bool IsIn(const QueueDirectory& directory) const { return directory_ == &directory; }

 private:
  Failure CopyPath(const std::string& path, Stopping stopping);
  Failure CopyLent(int source, Stopping stopping);
  Failure Copy(int source, off_t from, const std::string& path, Stopping stopping);
  void SyncEarly(size_t written);
  std::string Path() const;
  bool IsLinked(const std::string& name) const;
  void Discard();

  QueueDirectory* directory_ = nullptr;
  Descriptor descriptor_;
  mode_t mode_ = 0;  // that the file was made with
  int64_t opened_ms_ = 0;
  bool durable_ = false;
  size_t unsynced_ = 0;    // bytes since the last StartSync; counted if durable
  std::string temporary_;  // its name in tmp/; empty: it has none
};

// An item that is written piece by piece, before it is certain that it will be enqueued.
struct Draft {
  // Lets one thread at a time work on the file. If the draft was abandoned meanwhile, the destructor discards
  // the file.
  class Use {
   public:
    explicit Use(std::shared_ptr<Draft> draft) : draft_(std::move(draft)) { draft_->mutex_.lock(); }
    Use(Use&&) noexcept = default;
    ~Use() {
      if (!draft_) return;
      draft_->mutex_.unlock();
      draft_->DiscardIfAbandoned();
    }

   private:
    std::shared_ptr<Draft> draft_;
  };

  // Discards the file, without waiting: if a thread is using it, that thread discards it at the end.
  void Abandon() {
    abandoned_.store(true);
    DiscardIfAbandoned();
  }

  std::shared_ptr<QueueDirectory> directory;  // first, because the destructor of `file` needs it
  ItemFile file;

 private:
  void DiscardIfAbandoned() {
    if (!abandoned_.load() || !mutex_.try_lock()) return;
    file = ItemFile();
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::atomic<bool> abandoned_{false};
};

// Creates an empty item directly in queue/: it is complete as soon as it exists. 0, or -1 with errno; EEXIST
// has the same meaning as for link.
int CreateEmpty(QueueDirectory& directory, const std::string& name, mode_t mode);

}  // namespace fsq
