// Waiting for something to happen in a queue. Events are only hints: the listing that follows is the truth.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "files/file_info.h"
#include "waiting/poller.h"

namespace fsq {

struct WatchEvents {
  // Have appeared in queue/, or were touched: they may be due, or readable, now.
  std::vector<std::string> names;
  bool closed = false;  // a file in queue/ was closed: its lock may be free
  bool look = false;    // the queue itself has changed (down, moved, removed)
  bool pulled = false;  // the trigger was pulled
  bool lost = false;    // there were more events than are remembered

  bool any(bool closes) const { return (closes && closed) || look || pulled || lost || !names.empty(); }
};

// A trigger, as a look has found it.
struct FoundTrigger {
  Failure failure;
  bool is_known = false;  // it is the FIFO that the watch listens to
  Descriptor opened;      // not valid: there is no FIFO
  FileId id;
};

// Looks for the FIFO, and opens it unless it is `known`.
FoundTrigger FindTrigger(const std::string& path, const std::optional<FileId>& known);

class Watcher;

// The events of one waiter. One thread calls its functions.
class Watch {
 public:
  // The watcher's poller calls `wake`, on its own thread. `wake` must neither block nor call this watch.
  Watch(Watcher& watcher, std::function<void()> wake) : watcher_(watcher), wake_(std::move(wake)) {}
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { Disarm(); }

  // Keeps the FIFO open until this watch ends, so that a pull of the trigger finds a listener.
  Failure Listen(FoundTrigger trigger);
  // The FIFO that is open. Asks no file system.
  std::optional<FileId> trigger();

  // From now on reports everything that happens in `root` (the directory of the queue) and `queue`, which
  // replace earlier ones, and pulls of the trigger. If it fails, for example because no inotify watches are
  // left, it still reports pulls. `parent`: the directory of the queue whose host queue this is; empty: none.
  Failure Arm(const std::string& root, const std::string& queue, const std::string& parent = {});
  void Disarm();

  // The events since the last call. If there are none, `wake` will be called after the next one. `closes`:
  // closed files count as events.
  WatchEvents TakeOrAwait(bool closes);
  // The same, but `wake` will not be called any more.
  WatchEvents Take();
  // The same after a wake-up: returns the events that have been read, and reads no new ones.
  WatchEvents TakeRead();

 private:
  friend class Watcher;

  Watcher& watcher_;
  const std::function<void()> wake_;
  // The watcher uses everything below, under its mutex.
  Descriptor trigger_;
  FileId trigger_id_;
  bool shares_trigger_ = false;  // with the watches of the other host queues of its parent
  bool armed_ = false;
  bool awaited_ = false;
  bool closes_ = false;
  WatchEvents events_;
};

// Reads the descriptors of all watches and distributes the events.
class Watcher {
 public:
  explicit Watcher(std::unique_ptr<Poller> poller);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // The watcher of the process that polls on a thread. Shared, because inotify instances are scarce (128 per
  // user).
  static Watcher& Shared();

 private:
  friend class Watch;

  enum class Role { kRoot, kQueue };
  struct Target {
    Watch* watch;
    Role role;
  };

  Failure Arm(Watch& watch, const std::string& root, const std::string& queue, const std::string& parent);
  void Disarm(Watch& watch);
  Failure Listen(Watch& watch, FoundTrigger trigger);
  std::optional<FileId> TriggerOf(const Watch& watch);
  WatchEvents Take(Watch& watch, bool await, bool closes);
  WatchEvents TakeRead(Watch& watch);

  Failure Add(Watch& watch, const std::string& directory, Role role);
  void Remove(Watch& watch);
  void SetAwaited(Watch& watch, bool awaited);
  Failure PollTrigger(Watch& watch);
  void ForgetEvents();
  void ForgetTrigger(Watch& watch);
  void Read(int descriptor);
  void ReadEvents();
  void ReadTrigger(Watch& watch);
  void Wake(Watch& watch);

  std::mutex life_;  // locked before mutex_ whenever polling of a descriptor begins or ends
  std::mutex mutex_;
  Descriptor events_;
  std::unordered_multimap<int, Target> targets_;  // keyed by the number of the platform's watch
  std::vector<Watch*> armed_;
  size_t awaited_ = 0;
  std::unique_ptr<Poller> poller_;  // last, because its destructor may still poll the descriptors
};

inline Failure Watch::Listen(FoundTrigger trigger) {
  return watcher_.Listen(*this, std::move(trigger));
}

inline std::optional<FileId> Watch::trigger() {
  return watcher_.TriggerOf(*this);
}

inline Failure Watch::Arm(const std::string& root, const std::string& queue, const std::string& parent) {
  return watcher_.Arm(*this, root, queue, parent);
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

inline WatchEvents Watch::TakeRead() {
  return watcher_.TakeRead(*this);
}

}  // namespace fsq
