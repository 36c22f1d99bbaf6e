// What looks after descriptors until they can be read.
#pragma once

#include <functional>
#include <vector>

#include "failure.h"

namespace fsq {

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  virtual ~Poller() = default;

  // From here on `ready` is called while one of these can be read, and for no other one. The caller closes a
  // descriptor after it has left the list.
  virtual Failure Poll(const std::vector<int>& descriptors) = 0;

  // After a call with an empty list, and holding nothing that `ready` waits for: `ready` has returned, too.
  virtual void Rest() = 0;

  std::function<void(int descriptor)> ready;
};

}  // namespace fsq
