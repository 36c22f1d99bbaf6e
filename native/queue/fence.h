// The lock of a worker's directory, and the watch over it.
//
// The server of a network file system gives the locks of a machine to others when it has not heard from the
// machine for the length of a lease. So a worker must know when its own lock may be lost, before another
// worker can have it. Asking for the lock again proves nothing: this machine's kernel may answer that. An
// uncached read through the locked descriptor does: it fails when the lock is lost, and hangs when the server
// cannot be reached.
//
//     up ── a read fails with EIO or ESTALE ───────────────> fallen, for ever
//     up ── no read has succeeded for 0.8 of a lease ──────> fallen, for ever
//     up ── its worker frees it ───────────────────────────> fallen, for ever
//     up ── another worker has taken the directory over ───> fallen, for ever
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "files/file_lock.h"

namespace fsq {

class Fence {
 public:
  // `lock`: locked by `kind`, by a call that began at `begun_ns` (SleepingClockNs). `lease_ms` 0: the kernel
  // of this machine alone decides about the lock, so the lock cannot be lost, and there is no thread.
  static std::shared_ptr<Fence> Start(Descriptor lock, LockKind kind, int64_t begun_ns, int64_t lease_ms,
                                      Failure* failure);

  Fence(Descriptor lock, LockKind kind, int64_t begun_ns, int64_t lease_ms);

  // The locked descriptor, until Free.
  int descriptor() const { return lock_.get(); }

  bool HasFallen() { return LeftMs() == 0; }
  // How many milliseconds are left until it falls; -1: it never does.
  int64_t LeftMs();

  // The worker has found out that another one has its lock.
  void Fall() { fallen_ = true; }

  // Unlocks and closes, unless a read is hanging; then its thread does it after the read.
  void Free();
  // The same, on the thread of the fence if there is one: the JavaScript thread must not wait for a server.
  void FreeSoon();

 private:
  static void* Run(void* self);
  void Watch();
  bool Read();
  void Close();

  const LockKind kind_;
  const int64_t limit_ns_;  // 0: none
  const int64_t pause_ns_;
  // When the last successful read began: the lock was ours then.
  std::atomic<int64_t> good_ns_;
  std::atomic<bool> fallen_{false};

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  Descriptor lock_;
  bool is_reading_ = false;
  bool is_freed_ = false;
};

}  // namespace fsq
