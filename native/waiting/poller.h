// What looks after descriptors until they can be read.
#pragma once

#include <functional>

#include "calls/failure.h"

namespace fsq {

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() = default;

  // From here on `ready` is called while it can be read.
  virtual Failure Add(int descriptor) = 0;
  // Before it is closed.
  virtual void Remove(int descriptor) = 0;

  // Whether anybody waits for what `ready` says. Else it need not be called.
  virtual void SetAwaited(bool awaited) = 0;

  // When nothing is left to look after, and holding nothing that `ready` waits for: `ready` has returned,
  // too.
  virtual void Rest() = 0;

  std::function<void(int descriptor)> ready;
};

}  // namespace fsq
