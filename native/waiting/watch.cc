#include "waiting/watch.h"

#include "waiting/watcher.h"

namespace fsq {

Failure Watch::Listen(const std::string& trigger) {
  return watcher_.Listen(*this, trigger);
}

Failure Watch::Arm(const std::string& root, const std::string& queue) {
  return watcher_.Arm(*this, root, queue);
}

void Watch::Disarm() {
  watcher_.Disarm(*this);
}

WatchEvents Watch::TakeOrAwait(bool closes) {
  return watcher_.Take(*this, true, closes);
}

WatchEvents Watch::Take() {
  return watcher_.Take(*this, false, true);
}

WatchEvents Watch::TakeTold() {
  return watcher_.TakeTold(*this);
}

}  // namespace fsq
