// Waiting for something to happen in a queue. What is told is a hint: the listing that follows is the truth.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "waiting/poller.h"

namespace fsq {

struct WatchEvents {
  std::vector<std::string>
      names;            // have appeared in queue/, or were touched: they may be due, or readable, now
  bool closed = false;  // a file in queue/ was closed: its lock may be free
  bool look = false;    // the queue itself has changed (down, moved, removed)
  bool pulled = false;  // the trigger was
  bool lost = false;    // more has happened than is remembered

  bool any(bool closes) const { return (closes && closed) || look || pulled || lost || !names.empty(); }
};

class Watcher;

// What one waiter watches. Its functions are called by one thread.
class Watch {
 public:
  // `wake` is called where the watcher's poller does it. It must neither block nor call this watch.
  Watch(Watcher& watcher, std::function<void()> wake) : watcher_(watcher), wake_(std::move(wake)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { Disarm(); }

  // Opens the FIFO, so that whoever pulls the trigger finds a listener, until this watch ends. Harmless where
  // there is none, and once it is open.
  Failure Listen(const std::string& trigger);

  // From here on, all that happens in `root` (the directory of the queue) and `queue` is told, in place of
  // what was, and so are pulls of the trigger: these also where it fails, as for want of watches.
  Failure Arm(const std::string& root, const std::string& queue);
  void Disarm();

  // What has happened since the last call, if anything. If not, `wake` will be called once something has.
  // `closes`: files that are closed count.
  WatchEvents TakeOrAwait(bool closes);
  // The same, and nothing is awaited any more.
  WatchEvents Take();
  // The same, for who has been woken: without a look at what has happened meanwhile.
  WatchEvents TakeTold();

 private:
  friend class Watcher;

  Watcher& watcher_;
  const std::function<void()> wake_;
  // All below is the business of the watcher, under its mutex.
  Descriptor trigger_;
  bool armed_ = false;
  bool awaited_ = false;
  bool closes_ = false;
  WatchEvents events_;
};

// What turns the descriptors of watches, and what can be read from them, into events.
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

inline Failure Watch::Listen(const std::string& trigger) {
  return watcher_.Listen(*this, trigger);
}

inline Failure Watch::Arm(const std::string& root, const std::string& queue) {
  return watcher_.Arm(*this, root, queue);
}

inline void Watch::Disarm() {
  watcher_.Disarm(*this);
}

inline WatchEvents Watch::TakeOrAwait(bool closes) {
  return watcher_.Take(*this, true, closes);
}

inline WatchEvents Watch::Take() {
  return watcher_.Take(*this, false, true);
}

inline WatchEvents Watch::TakeTold() {
  return watcher_.TakeTold(*this);
}

}  // namespace fsq
