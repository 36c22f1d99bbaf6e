// A poller with its own thread, which exists while there are descriptors to poll.
#pragma once

#include <pthread.h>

#include <mutex>
#include <vector>

#include "calls/descriptor.h"
#include "waiting/poller.h"

namespace fsq {

class ThreadPoller final : public Poller {
 public:
  Failure Add(int descriptor) override;
  void Remove(int descriptor) override;
  // Ignored: polling without a waiter costs the other threads nothing.
  void SetAwaited(bool) override {}
  void Rest() override;

 private:
  Failure Start();
  void Interrupt() const;
  static void* Run(void* self);
  void Loop();
  bool IsPolled(int descriptor);

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<int> polled_;
  bool running_ = false;

  // Created and ended together with the thread, by the callers of Add and Rest.
  pthread_t thread_{};
  Descriptor interrupt_;    // the write end of a pipe
  Descriptor interrupted_;  // its read end, which is polled
};

}  // namespace fsq
