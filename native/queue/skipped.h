// Remembers the items that a waiting scan has skipped, so that it can come back to just those.
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

// Belongs to one waiter, and is used by one call at a time.
class Skipped {
 public:
  Skipped() = default;
  Skipped(const Skipped&) = delete;
  Skipped& operator=(const Skipped&) = delete;
  ~Skipped();

  // Keeps the open descriptor of an item that another worker has locked. Opening and closing it for each
  // attempt would raise an event for all other watchers of the queue, and theirs for us: the waiters would
  // wake each other forever. An attempt to lock an open descriptor raises no event. Only a part of the
  // process's descriptors is used for this; beyond that, only the name is remembered.
  void KeepBusy(std::string_view name, Descriptor opened);
  // The name of an item that cannot be opened to wait for it: this worker holds another of the same name.
  void KeepBusyName(std::string_view name) { unkept_.emplace_back(name); }
  // Invalid if the name has no kept descriptor.
  Descriptor TakeBusy(std::string_view name);

  void KeepDelayed(std::string_view name, int64_t due_ms);

  // The names that may be claimable now: with `kept`, the busy ones whose descriptor is kept; with `unkept`,
  // the first kAtOnce of the other busy ones; and up to kAtOnce delayed ones that are due now.
  std::vector<std::string> Names(bool kept, bool unkept);

  bool has_delayed() const { return delayed_.next_due_ms() != 0; }
  // Milliseconds until the first of the delayed ones is due, 0: it is due; -1: there are none.
  int64_t due_in_ms() const;
  size_t kept() const { return busy_.size(); }
  size_t unkept() const { return unkept_.size(); }

  // Begins a pass over all names. Items that this pass does not find are no longer waiting.
  void BeginPass(const QueueDirectory& directory);
  void EndPass();

  // Closes the kept descriptors when the process has none left. False: there were none to close.
  bool DropBusy();
  // Unlocks the items that IsQuiet has locked and nothing has claimed, for other workers.
  void UnlockBusy();

  // True if another pass would find the same names as the last one, and nothing claimable: every item is
  // held, delayed or may not be opened. Much cheaper than a pass. If it gets a lock, it keeps it for the next
  // claim.
  bool IsQuiet(const QueueDirectory& directory);

  // The descriptor for listings. Kept open, because opening and closing the directory would raise an event,
  // too.
  Descriptor stream;

 private:
  // Each claim raises an event for all watchers, and the kernel keeps at most 16,384 events. A waiter
  // therefore reads its own events between batches of this size.
  static constexpr size_t kAtOnce = 1024;

  // One of the descriptors that all waiters of the process together may keep.
  class Share {
   public:
    // False: none are left.
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
    uint64_t pass = 0;
    bool locked = false;
  };

  std::map<std::string, Busy, std::less<>> busy_;
  std::deque<std::string> unkept_;
  DueNames delayed_;
  LockKind lock_kind_ = LockKind::kNone;
  // The times of queue/ before it was listed. Not stamped: the directory had just changed, and may have
  // changed again with the same timestamp.
  bool stamped_ = false;
  timespec modified_{};
  timespec changed_{};
  uint64_t pass_ = 0;
  bool all_remembered_ = true;
  bool in_pass_ = false;
};

}  // namespace fsq
