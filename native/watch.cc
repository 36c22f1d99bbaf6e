#include "watch.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <unordered_map>

#include "fault_point.h"
#include "platform.h"

namespace fsq {
namespace {

constexpr size_t kMostNames = 64;

}  // namespace

// The one thread that polls, and all that it polls. One for the process, as inotify instances are few (128 a
// user).
class Watcher {
 public:
  // Made at first use and never freed: the process may exit while the thread polls.
  static Watcher& Instance() {
    static Watcher* const instance = new Watcher;
    return *instance;
  }

  Failure Arm(Watch& watch, const std::string& root, const std::string& queue);
  void Disarm(Watch& watch);
  Failure Listen(Watch& watch, const std::string& trigger);
  WatchEvents Take(Watch& watch, bool await, bool closes);

 private:
  enum class Role { kRoot, kQueue };
  struct Target {
    Watch* watch;
    Role role;
  };

  Failure Start();
  void Stop(pthread_t thread);
  Failure Add(Watch& watch, const std::string& directory, Role role);
  void Remove(Watch& watch);
  void Interrupt() const;
  static void* Run(void* self);
  void Loop();
  void Poll(std::vector<pollfd>& polled, std::vector<Watch*>& listeners);
  void ReadEvents();
  static void ReadTrigger(Watch& watch);
  void Tell(Watch& watch);

  std::mutex life_;  // taken first: starting and stopping the thread
  std::mutex mutex_;
  Descriptor events_;
  Descriptor interrupt_;  // the pipe's end that is written, and the one that is polled
  Descriptor interrupted_;
  pthread_t thread_{};
  bool running_ = false;
  std::unordered_multimap<int, Target> targets_;  // by the number of the platform's watch
  std::vector<Watch*> armed_;
};

Failure Watcher::Start() {
  std::array<int, 2> ends{-1, -1};
  if (platform::OpenPipe(ends.data()) == -1) return Failure{LastError(), "pipe"};
  interrupted_ = Descriptor(ends[0]);
  interrupt_ = Descriptor(ends[1]);
  running_ = true;
  // The process's signals are not for this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, Run, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0) return {};
  running_ = false;
  return Failure{-error, "pthread_create"};
}

Failure Watcher::Arm(Watch& watch, const std::string& root, const std::string& queue) {
  const std::lock_guard<std::mutex> life(life_);
  const std::lock_guard<std::mutex> guard(mutex_);
  if (armed_.empty()) {
    if (Failure failure = Start()) return failure;
  }
  if (watch.armed_)
    Remove(watch);
  else
    armed_.push_back(&watch);
  watch.armed_ = true;
  Failure failure = Add(watch, root, Role::kRoot);
  if (!failure) failure = Add(watch, queue, Role::kQueue);
  if (failure) Remove(watch);
  Interrupt();
  return failure;
}

Failure Watcher::Add(Watch& watch, const std::string& directory, Role role) {
  // There may be none for now, and triggers are heard all the same.
  if (!events_.valid()) events_ = Descriptor(FSQ_CALL("watch.init", platform::OpenWatcher()));
  if (!events_.valid()) return Failure{LastError(), "inotify_init1"};
  const int id =
      FSQ_CALL("watch.add", platform::AddWatch(events_.get(), directory.c_str(), role == Role::kQueue));
  if (id == -1) return Failure{LastError(), "inotify_add_watch", directory};
  targets_.emplace(id, Target{&watch, role});
  return {};
}

void Watcher::Disarm(Watch& watch) {
  const std::lock_guard<std::mutex> life(life_);
  pthread_t thread{};
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!watch.armed_) return;
    watch.armed_ = false;
    watch.awaited_ = false;
    watch.events_ = {};
    Remove(watch);
    std::erase(armed_, &watch);
    Interrupt();
    if (!armed_.empty()) return;
    running_ = false;
    thread = thread_;
  }
  // Not under the mutex, which the thread needs to come to its end.
  pthread_join(thread, nullptr);
  const std::lock_guard<std::mutex> guard(mutex_);
  events_.Reset();
  interrupt_.Reset();
  interrupted_.Reset();
}

void Watcher::Remove(Watch& watch) {
  for (auto target = targets_.begin(); target != targets_.end();) {
    if (target->second.watch != &watch) {
      target++;
      continue;
    }
    const int id = target->first;
    target = targets_.erase(target);
    if (!targets_.contains(id)) platform::RemoveWatch(events_.get(), id);
  }
}

void Watcher::Interrupt() const {
  // EAGAIN: it is full, so the thread will wake up anyway.
  const char byte = 0;
  (void)!::write(interrupt_.get(), &byte, 1);
}

Failure Watcher::Listen(Watch& watch, const std::string& trigger) {
  struct stat named;
  const bool is_there = ::lstat(trigger.c_str(), &named) == 0;
  if (!is_there && errno != ENOENT) return Failure{LastError(), "lstat", trigger};
  struct stat info;
  const bool is_open = watch.trigger_.valid() && ::fstat(watch.trigger_.get(), &info) == 0;
  if (is_there && is_open && named.st_dev == info.st_dev && named.st_ino == info.st_ino) return {};
  if (!is_there && !is_open) return {};
  Descriptor opened;
  if (is_there && S_ISFIFO(named.st_mode)) {
    // For writing, too: without any writer a FIFO is readable all the time.
    opened = Descriptor(RetryInterrupted([&] {
      return FSQ_CALL("trigger.open", ::open(trigger.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    }));
    if (!opened.valid() && errno != ENOENT) return Failure{LastError(), "open", trigger};
    if (opened.valid() && (::fstat(opened.get(), &info) == -1 || !S_ISFIFO(info.st_mode))) opened.Reset();
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  watch.trigger_ = std::move(opened);
  if (watch.armed_) Interrupt();
  return {};
}

WatchEvents Watcher::Take(Watch& watch, bool await, bool closes) {
  const std::lock_guard<std::mutex> guard(mutex_);
  WatchEvents events = std::exchange(watch.events_, {});
  watch.closes_ = closes;
  watch.awaited_ = await && !events.any(closes);
  return events;
}

void* Watcher::Run(void* self) {
  static_cast<Watcher*>(self)->Loop();
  return nullptr;
}

void Watcher::Loop() {
  std::vector<pollfd> polled;
  std::vector<Watch*> listeners;
  for (;;) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      if (!running_) return;
      polled = {{interrupted_.get(), POLLIN, 0}, {events_.get(), POLLIN, 0}};
      listeners.clear();
      for (Watch* const watch : armed_) {
        if (!watch->trigger_.valid()) continue;
        polled.push_back({watch->trigger_.get(), POLLIN, 0});
        listeners.push_back(watch);
      }
    }
    Poll(polled, listeners);
  }
}

void Watcher::Poll(std::vector<pollfd>& polled, std::vector<Watch*>& listeners) {
  if (::poll(polled.data(), static_cast<nfds_t>(polled.size()), -1) <= 0) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!running_) return;
  if (polled[0].revents != 0) {
    std::array<char, 64> bytes;
    while (::read(interrupted_.get(), bytes.data(), bytes.size()) > 0) {
    }
  }
  if (polled[1].revents != 0) ReadEvents();
  for (size_t at = 0; at < listeners.size(); at++) {
    Watch* const watch = listeners[at];
    // Meanwhile it may have ended, or its descriptor's number may be another file's.
    const bool is_current = std::find(armed_.begin(), armed_.end(), watch) != armed_.end() &&
                            watch->trigger_.get() == polled[at + 2].fd;
    if (polled[at + 2].revents == 0 || !is_current) continue;
    ReadTrigger(*watch);
    Tell(*watch);
  }
}

void Watcher::ReadEvents() {
  const int result = platform::ReadWatcher(events_.get(), [&](const platform::WatchEvent& event) {
    if (event.lost) {
      for (Watch* const watch : armed_) watch->events_.lost = true;
    }
    const auto [begin, end] = targets_.equal_range(event.watch);
    for (auto target = begin; target != end; target++) {
      WatchEvents& events = target->second.watch->events_;
      if (event.gone || (event.created && target->second.role == Role::kRoot)) events.look = true;
      if (target->second.role == Role::kRoot) continue;
      events.closed = events.closed || event.closed;
      if (!event.created || events.lost) continue;
      // No name: the platform does not tell it.
      if (event.name.empty())
        events.look = true;
      else if (events.names.size() < kMostNames)
        events.names.emplace_back(event.name);
      else
        events.lost = true;
    }
  });
  for (Watch* const watch : armed_) {
    if (result == -1) watch->events_.lost = true;
    Tell(*watch);
  }
  if (result == 0) return;
  // For ever ready, and never to be read: who arms next opens another.
  for (const auto& [id, target] : targets_) platform::RemoveWatch(events_.get(), id);
  targets_.clear();
  events_.Reset();
}

void Watcher::ReadTrigger(Watch& watch) {
  std::array<char, 512> bytes;
  ssize_t size = 0;
  while ((size = ::read(watch.trigger_.get(), bytes.data(), bytes.size())) > 0) watch.events_.look = true;
  // Not readable after all, and for ever ready: the next Listen opens it anew.
  if (size == -1 && errno != EAGAIN && errno != EINTR) watch.trigger_.Reset();
}

void Watcher::Tell(Watch& watch) {
  if (watch.awaited_ && watch.events_.any(watch.closes_)) {
    watch.awaited_ = false;
    watch.wake_();
  }
}

Failure Watch::Listen(const std::string& trigger) {
  return Watcher::Instance().Listen(*this, trigger);
}

Failure Watch::Arm(const std::string& root, const std::string& queue) {
  return Watcher::Instance().Arm(*this, root, queue);
}

void Watch::Disarm() {
  Watcher::Instance().Disarm(*this);
}

WatchEvents Watch::TakeOrAwait(bool closes) {
  return Watcher::Instance().Take(*this, true, closes);
}

WatchEvents Watch::Take() {
  return Watcher::Instance().Take(*this, false, true);
}

}  // namespace fsq
