// What turns the descriptors of watches, and what can be read from them, into events.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "waiting/poller.h"
#include "waiting/watch.h"

namespace fsq {

class Watcher {
 public:
  explicit Watcher(std::unique_ptr<Poller> poller);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // The one of the process that has a thread to poll: inotify instances are few (128 a user).
  static Watcher& Shared();

 private:
  friend class Watch;

  enum class Role { kRoot, kQueue };
  struct Target {
    Watch* watch;
    Role role;
  };

  Failure Arm(Watch& watch, const std::string& root, const std::string& queue);
  void Disarm(Watch& watch);
  Failure Listen(Watch& watch, const std::string& trigger);
  WatchEvents Take(Watch& watch, bool await, bool closes);
  WatchEvents TakeTold(Watch& watch);

  Failure Add(Watch& watch, const std::string& directory, Role role);
  void Remove(Watch& watch);
  void SetAwaited(Watch& watch, bool awaited);
  Failure PollTrigger(Watch& watch);
  void ForgetEvents();
  void ForgetTrigger(Watch& watch);
  void Read(int descriptor);
  void ReadEvents();
  void ReadTrigger(Watch& watch);
  void Tell(Watch& watch);

  std::mutex life_;  // taken first: what is polled begins, and ends
  std::mutex mutex_;
  Descriptor events_;
  std::unordered_multimap<int, Target> targets_;  // by the number of the platform's watch
  std::vector<Watch*> armed_;
  size_t awaited_ = 0;
  std::unique_ptr<Poller> poller_;  // stands last: it polls the descriptors to its own end
};

}  // namespace fsq
