// The descriptor whose lock is a claim.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <utility>

#include "calls/failure.h"
#include "files/file_info.h"
#include "files/file_lock.h"

namespace fsq {

// Unlocks before it closes. It remembers its inode, because its number may be lent to other code: if that
// code closed the descriptor (a stream with autoClose, for example), the number may now belong to another
// file, which must not be closed here. A number that was never lent is not checked: that costs a system call
// an item.
class ClaimedDescriptor {
 public:
  ClaimedDescriptor() = default;
  ClaimedDescriptor(int fd, LockKind kind) : fd_(fd), kind_(kind) {}
  ClaimedDescriptor(ClaimedDescriptor&& other) noexcept
      : fd_(other.Release()),
        kind_(other.kind_),
        lent_(other.lent_),
        id_(other.id_),
        claimed_us_(other.claimed_us_) {}
  ClaimedDescriptor& operator=(ClaimedDescriptor&& other) noexcept {
    if (this != &other) {
      Reset();
      kind_ = other.kind_;
      lent_ = other.lent_;
      id_ = other.id_;
      claimed_us_ = other.claimed_us_;
      fd_ = other.Release();
    }
    return *this;
  }
  ClaimedDescriptor(const ClaimedDescriptor&) = delete;
  ClaimedDescriptor& operator=(const ClaimedDescriptor&) = delete;
  ~ClaimedDescriptor() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Remember(const struct stat& info) { id_ = IdOf(info); }
  bool Is(const struct stat& info) const { return IdOf(info) == id_; }

  // Of a claim by rename: its number.
  void RememberClaim(int64_t claimed_us) { claimed_us_ = claimed_us; }
  int64_t claimed_us() const { return claimed_us_; }

  // Call this, after Remember(), when other code learns the number.
  void Lend() { lent_ = true; }
  bool lent() const { return lent_; }

  // Whether the descriptor still belongs to its inode, i.e. no other code has closed it.
  bool IsIntact() const {
    struct stat info;
    return valid() && (!lent_ || (RetryInterrupted(::fstat, fd_, &info) == 0 && Is(info)));
  }

  // Call this when the kernel has given the number to another file: the descriptor is no longer ours.
  void Forget() { (void)Release(); }

  void Reset() {
    if (!IsIntact()) Forget();
    ResetVerified();
  }

  // For a caller that has just verified the inode.
  void ResetVerified() {
    if (const int fd = Release(); fd >= 0) UnlockAndClose(fd, kind_);
  }

 private:
  int Release() { return std::exchange(fd_, -1); }

  int fd_ = -1;
  LockKind kind_ = LockKind::kNone;
  bool lent_ = false;
  FileId id_;
  int64_t claimed_us_ = 0;
};

}  // namespace fsq
