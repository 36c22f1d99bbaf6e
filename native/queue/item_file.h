// The file of an item before it has its name in queue/: made, filled and given its owner where no worker sees
// it.
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
  std::string path;              // of a regular file whose content is copied
  int descriptor = -1;           // of a regular file that is copied from its offset on; the offset stays
  std::shared_ptr<Draft> draft;  // written already
};

// How the items of one producer are named and owned.
struct ItemForm {
  static constexpr int64_t kLeave = -1;

  NameForm names;

  int64_t user = kLeave;   // uid
  int64_t group = kLeave;  // gid
  mode_t mode = 0640;
  bool durable = true;
  bool plain_sync = false;  // by fsync alone, whatever is known of the file system

  bool has_owner() const { return user != kLeave || group != kLeave; }
};

// An inode that is complete but for its name in queue/. Its destructor leaves nothing behind: an unnamed
// inode vanishes with its descriptor, and a name in tmp/ is removed.
class ItemFile {
 public:
  ItemFile() = default;
  ItemFile(ItemFile&& other) noexcept;
  ItemFile& operator=(ItemFile&& other) noexcept;
  ItemFile(const ItemFile&) = delete;
  ItemFile& operator=(const ItemFile&) = delete;
  ~ItemFile();

  // An empty one. ESTALE: tmp/ was removed under us. `name` is used in tmp/ where an unnamed inode cannot be
  // had; EEXIST then means that tmp/ holds this name already.
  static Failure Open(QueueDirectory& directory, platform::LinkWay way, const std::string& name, mode_t mode,
                      ItemFile* file);

  // ECANCELED: it was asked to stop.
  Failure Write(const Payload& payload, Stopping stopping) const;

  // After the last write: sets owner, mode and, for a delayed item, the time at which it is due (milliseconds
  // since the epoch; 0: at once).
  Failure SetAttributes(const ItemForm& form, int64_t due_ms) const;

  // A hint that Sync comes soon.
  void StartSync() const { platform::StartWriteback(descriptor_.get()); }

  // Makes the content survive a power cut: by itself, or (`write_out`, see platform::WritesOut) together with
  // its name.
  Failure Sync(bool write_out) const;

  // Makes the name survive, too, where content is written out apart from it. 0, or -1 with errno; never tried
  // again.
  int SyncName() const;

  // One more try to link: 0, or -1 with errno. ENOTSUP: this inode can never get a name here, so it has to be
  // made anew in tmp/. ESTALE: queue/ was removed under us.
  int Link(const std::string& name);

  bool valid() const { return descriptor_.valid(); }
  bool IsIn(const QueueDirectory& directory) const { return directory_ == &directory; }

 private:
  Failure CopyPath(const std::string& path, Stopping stopping) const;
  Failure CopyLent(int source, Stopping stopping) const;
  Failure Copy(int source, off_t from, const std::string& path, Stopping stopping) const;
  std::string Path() const;
  bool IsLinked(const std::string& name) const;
  void Discard();

  QueueDirectory* directory_ = nullptr;
  Descriptor descriptor_;
  std::string temporary_;  // its name in tmp/; empty: it has none
};

// An item that is written bit by bit, before it is known what becomes of it.
struct Draft {
  // One thread at a time works on the file. What was abandoned meanwhile goes when that ends.
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

  // Nothing of it stays. Does not wait for whoever works on it.
  void Abandon() {
    abandoned_.store(true);
    DiscardIfAbandoned();
  }

  std::shared_ptr<QueueDirectory> directory;  // stands first, as the file needs it to its own end
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

// An empty item needs no place to be built in: it is complete when it is there. 0, or -1 with errno; EEXIST
// as for link.
int CreateEmpty(QueueDirectory& directory, const std::string& name, mode_t mode);

}  // namespace fsq
