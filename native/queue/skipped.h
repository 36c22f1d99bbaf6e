// What a scan that waits has passed by, so that it can come back to just that.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calls/descriptor.h"
#include "queue/directory.h"
#include "queue/due_names.h"

namespace fsq {

// Of one waiter, and used by one call at a time.
class Skipped {
 public:
  Skipped() = default;
  Skipped(const Skipped&) = delete;
  Skipped& operator=(const Skipped&) = delete;
  ~Skipped();

  // The open descriptor of an item that somebody else has locked. Kept, because opening and closing it for
  // each attempt would be an event for all others who watch the queue, and theirs for us: they would wake
  // each other for ever. Attempts on an open descriptor are seen by nobody.
  // Of the process's descriptors, only a part is used for this. Of the others the name is remembered.
  void KeepBusy(std::string_view name, Descriptor opened);
  // None: it is not among them.
  Descriptor TakeBusy(std::string_view name);

  void KeepDelayed(std::string_view name, int64_t due_ms);

  // All that might be claimed now: the busy ones whose descriptor is kept if `kept`, of the others the first
  // kAtOnce if `unkept`, and as many of the delayed ones that are due at `now_ms`.
  std::vector<std::string> Names(bool kept, bool unkept, int64_t now_ms);

  // When the first of the delayed ones is due; 0: there is none.
  int64_t next_due_ms() const { return delayed_.next_due_ms(); }
  size_t kept() const { return busy_.size(); }
  size_t unkept() const { return unkept_.size(); }

  // A walk over all names begins: what it does not come by is not waiting any more.
  void BeginWalk(const QueueDirectory& directory);
  void EndWalk();

  // No descriptor is left: closes those that are kept. False: there were none.
  bool DropBusy();
  // What IsQuiet has locked and nobody has claimed is for others.
  void UnlockBusy();

  // Another walk would find the names of the last one, and nothing that can be claimed but what is delayed or
  // may not be opened. Much cheaper than that walk. A lock that it gets is kept for the next claims.
  bool IsQuiet(const QueueDirectory& directory);

  // For listings: kept open, as opening and closing the directory would be an event, too.
  Descriptor stream;

 private:
  // Each claim is an event for all who watch, and the kernel keeps no more than 16,384 events: so a waiter
  // reads its own in between.
  static constexpr size_t kAtOnce = 1024;

  // One of the descriptors that all of the process may keep.
  class Share {
   public:
    // False: they are used up.
    bool Take();
    Share() = default;
    Share(Share&& other) noexcept : taken_(std::exchange(other.taken_, false)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(taken_, other.taken_);
      return *this;
    }
    ~Share();

   private:
    bool taken_ = false;
  };
  struct Busy {
    Share share;
    Descriptor opened;
    uint64_t walk = 0;
    bool locked = false;
  };

  std::map<std::string, Busy, std::less<>> busy_;
  std::deque<std::string> unkept_;
  DueNames delayed_;
  LockKind lock_kind_ = LockKind::kNone;
  // Of queue/, before it was listed; none: it had just changed, and may have changed again at the same time.
  bool stamped_ = false;
  timespec modified_{};
  timespec changed_{};
  uint64_t walk_ = 0;
  bool all_remembered_ = true;
  bool walking_ = false;
};

}  // namespace fsq
