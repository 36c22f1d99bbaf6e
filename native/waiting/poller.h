// Watches descriptors until they become readable.
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

  // From now on, calls `ready` whenever the descriptor is readable.
  virtual Failure Add(int descriptor) = 0;
  // Call it before the descriptor is closed.
  virtual void Remove(int descriptor) = 0;

  // Whether any waiter awaits events. If not, `ready` need not be called.
  virtual void SetAwaited(bool awaited) = 0;

  // Call it when no descriptor is left, without holding a lock that `ready` needs: it waits until `ready` has
  // returned.
  virtual void Rest() = 0;

  std::function<void(int descriptor)> ready;
};

}  // namespace fsq
