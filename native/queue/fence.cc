#include "queue/fence.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "calls/fault_point.h"
#include "calls/thread.h"
#include "platform/platform.h"

namespace fsq {
namespace {

constexpr int64_t kNsAMs = 1'000'000;
constexpr int64_t kReadsALease = 5;
// The others can have the lock after a whole lease. The rest is for this worker to stop.
constexpr int64_t kMostOfALease = 4;  // fifths

constexpr size_t kBytes = 512;

}  // namespace

std::shared_ptr<Fence> Fence::Start(Descriptor lock, LockKind kind, int64_t begun_ns, int64_t lease_ms,
                                    Failure* failure) {
  auto fence = std::make_shared<Fence>(std::move(lock), kind, begun_ns, lease_ms);
  if (fence->limit_ns_ == 0) return fence;
  // The thread shares the fence, and nothing waits for its end: a read can hang for as long as the server is
  // out of reach.
  auto shared = std::make_unique<std::shared_ptr<Fence>>(fence);
  pthread_t thread;
  const int error = StartThread(&thread, Run, shared.get());
  if (error != 0) {
    fence->Free();
    *failure = Failure{-error, "pthread_create", {}, {}};
    return nullptr;
  }
  (void)shared.release();  // the thread owns it
  pthread_detach(thread);
  return fence;
}

Fence::Fence(Descriptor lock, LockKind kind, int64_t begun_ns, int64_t lease_ms)
    : kind_(kind),
      limit_ns_(lease_ms * kNsAMs / kReadsALease * kMostOfALease),
      pause_ns_(lease_ms * kNsAMs / kReadsALease),
      good_ns_(begun_ns),
      lock_(std::move(lock)) {}

int64_t Fence::LeftMs() {
  if (fallen_) return 0;
  if (limit_ns_ == 0) return -1;
  const int64_t left_ns = good_ns_ + limit_ns_ - platform::SleepingClockNs();
  // For ever: others may have had the lock since.
  if (left_ns <= 0) fallen_ = true;
  return fallen_ ? 0 : std::max(int64_t{1}, left_ns / kNsAMs);
}

void* Fence::Run(void* self) {
  const std::unique_ptr<std::shared_ptr<Fence>> shared(static_cast<std::shared_ptr<Fence>*>(self));
  (*shared)->Watch();
  return nullptr;
}

void Fence::Watch() {
  std::unique_lock<std::mutex> guard(mutex_);
  while (!is_freed_) {
    if (changed_.wait_for(guard, std::chrono::nanoseconds(pause_ns_), [this] { return is_freed_; })) break;
    if (HasFallen()) continue;
    is_reading_ = true;
    guard.unlock();
    const bool is_lost = !Read();
    guard.lock();
    is_reading_ = false;
    if (is_lost) fallen_ = true;
  }
  Close();
}

// False: the lock is lost.
bool Fence::Read() {
  alignas(platform::kUncachedAlignment) std::array<char, kBytes> bytes;
  const int64_t begun_ns = platform::SleepingClockNs();
  const ssize_t got = FSQ_CALL("fence.read", platform::ReadUncached(lock_.get(), bytes.data(), bytes.size()));
  // ESTALE, and EBADF if the client of NFS has tried to open the file again: the worker that has taken over
  // has removed it. Another error decides nothing: the next read does, or the time.
  if (got == -1) return errno != EIO && errno != ESTALE && errno != EBADF;
  if (got > 0 && !HasFallen()) good_ns_ = begun_ns;
  return true;
}

// Unlocks explicitly, because a fork in another thread may hold a copy of the descriptor.
void Fence::Close() {
  if (!lock_.valid()) return;
  (void)Unlock(lock_.get(), kind_);
  lock_.Reset();
}

void Fence::Free() {
  const std::lock_guard<std::mutex> guard(mutex_);
  is_freed_ = true;
  fallen_ = true;
  if (!is_reading_) Close();
  changed_.notify_all();
}

void Fence::FreeSoon() {
  if (limit_ns_ == 0) return Free();
  const std::lock_guard<std::mutex> guard(mutex_);
  is_freed_ = true;
  changed_.notify_all();
}

}  // namespace fsq
