// A poller with a thread of its own, which is there while there is something to poll.
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
  // It costs the others nothing.
  void SetAwaited(bool) override {}
  void Rest() override;

 private:
  Failure Start();
  void Interrupt() const;
  static void* Run(void* self);
  void Loop();
  bool IsPolled(int descriptor);

  std::mutex mutex_;
  // Guarded by it.
  std::vector<int> polled_;
  bool running_ = false;

  // Made and ended with the thread, by the one who polls and rests.
  pthread_t thread_{};
  Descriptor interrupt_;  // the pipe's end that is written, and the one that is polled
  Descriptor interrupted_;
};

}  // namespace fsq
