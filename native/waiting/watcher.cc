#include "waiting/watcher.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "calls/fault_point.h"
#include "files/file_info.h"
#include "platform/platform.h"
#include "waiting/thread_poller.h"

namespace fsq {
namespace {

// As many names as the kernel keeps events: an event with a name needs no pass over the queue.
constexpr size_t kMostNames = 16'384;

}  // namespace

Watcher::Watcher(std::unique_ptr<Poller> poller) : poller_(std::move(poller)) {
  poller_->ready = [this](int descriptor) { Read(descriptor); };
}

Watcher& Watcher::Shared() {
  // Never freed: the thread may still poll while the process exits.
  static Watcher* const shared = new Watcher(std::make_unique<ThreadPoller>());
  return *shared;
}

Failure Watcher::Arm(Watch& watch, const std::string& root, const std::string& queue,
                     const std::string& parent) {
  const std::lock_guard<std::mutex> life(life_);
  const std::lock_guard<std::mutex> guard(mutex_);
  Failure failure;
  watch.shares_trigger_ = !parent.empty();
  if (watch.armed_) {
    Remove(watch);
  } else {
    watch.armed_ = true;
    armed_.push_back(&watch);
    failure = PollTrigger(watch);
  }
  // The trigger works even if watching the directories fails.
  if (!failure) failure = Add(watch, root, Role::kRoot);
  if (!failure && !parent.empty()) failure = Add(watch, parent, Role::kRoot);
  if (!failure) failure = Add(watch, queue, Role::kQueue);
  if (failure) Remove(watch);
  return failure;
}

Failure Watcher::Add(Watch& watch, const std::string& directory, Role role) {
  // This may fail while no inotify instance is left. Triggers work all the same.
  if (!events_.valid()) {
    events_ = Descriptor(FSQ_CALL("watch.init", platform::OpenWatcher()));
    if (!events_.valid()) return Failure{LastError(), "inotify_init1"};
    if (Failure failure = poller_->Add(events_.get())) {
      events_.Reset();
      return failure;
    }
  }
  const int id =
      FSQ_CALL("watch.add", platform::AddWatch(events_.get(), directory.c_str(), role == Role::kQueue));
  if (id == -1) return Failure{LastError(), "inotify_add_watch", directory};
  targets_.emplace(id, Target{&watch, role});
  return {};
}

void Watcher::Disarm(Watch& watch) {
  const std::lock_guard<std::mutex> life(life_);
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!watch.armed_) return;
    watch.armed_ = false;
    SetAwaited(watch, false);
    watch.events_ = {};
    Remove(watch);
    if (watch.trigger_.valid()) poller_->Remove(watch.trigger_.get());
    std::erase(armed_, &watch);
    if (!armed_.empty()) return;
    ForgetEvents();
  }
  // Not under the mutex, which the thread of the poller needs before it can end.
  poller_->Rest();
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

void Watcher::SetAwaited(Watch& watch, bool awaited) {
  if (watch.awaited_ == awaited) return;
  watch.awaited_ = awaited;
  awaited_ = awaited ? awaited_ + 1 : awaited_ - 1;
  if (awaited_ == (awaited ? 1 : 0)) poller_->SetAwaited(awaited);
}

// Closes a trigger that cannot be polled, so that the next Listen tries again.
Failure Watcher::PollTrigger(Watch& watch) {
  if (!watch.trigger_.valid()) return {};
  Failure failure = poller_->Add(watch.trigger_.get());
  if (failure) watch.trigger_.Reset();
  return failure;
}

void Watcher::ForgetEvents() {
  if (!events_.valid()) return;
  poller_->Remove(events_.get());
  events_.Reset();
}

void Watcher::ForgetTrigger(Watch& watch) {
  if (watch.trigger_.valid() && watch.armed_) poller_->Remove(watch.trigger_.get());
  watch.trigger_.Reset();
}

FoundTrigger FindTrigger(const std::string& path, const std::optional<FileId>& known) {
  struct stat info;
  if (RetryInterrupted(::lstat, path.c_str(), &info) == -1) {
    if (errno == ENOENT) return {};
    return {.failure = {LastError(), "lstat", path}};
  }
  if (known == IdOf(info)) return {.is_known = true};
  if (!S_ISFIFO(info.st_mode)) return {};
  // Opened for writing, too: a FIFO without a writer is always readable.
  Descriptor opened(
      FSQ_CALL("trigger.open", ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)));
  if (!opened.valid() && errno != ENOENT) return {.failure = {LastError(), "open", path}};
  if (!opened.valid() || RetryInterrupted(::fstat, opened.get(), &info) == -1 || !S_ISFIFO(info.st_mode))
    return {};
  return {.opened = std::move(opened), .id = IdOf(info)};
}

Failure Watcher::Listen(Watch& watch, FoundTrigger trigger) {
  if (trigger.failure) return std::move(trigger.failure);
  if (trigger.is_known) return {};
  const std::lock_guard<std::mutex> life(life_);
  const std::lock_guard<std::mutex> guard(mutex_);
  ForgetTrigger(watch);
  watch.trigger_ = std::move(trigger.opened);
  watch.trigger_id_ = trigger.id;
  return watch.armed_ ? PollTrigger(watch) : Failure{};
}

std::optional<FileId> Watcher::TriggerOf(const Watch& watch) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!watch.trigger_.valid()) return {};
  return watch.trigger_id_;
}

WatchEvents Watcher::Take(Watch& watch, bool await, bool closes) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (awaited_ == 0) {
    // Without a waiter, the descriptors may not have been polled.
    if (events_.valid()) ReadEvents();
    if (watch.trigger_.valid()) ReadTrigger(watch);
  }
  WatchEvents events = std::exchange(watch.events_, {});
  watch.closes_ = closes;
  SetAwaited(watch, await && !events.any(closes));
  return events;
}

WatchEvents Watcher::TakeRead(Watch& watch) {
  const std::lock_guard<std::mutex> guard(mutex_);
  SetAwaited(watch, false);
  return std::exchange(watch.events_, {});
}

void Watcher::Read(int descriptor) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (descriptor == events_.get()) return ReadEvents();
  const auto listener = std::find_if(armed_.begin(), armed_.end(), [&](const Watch* watch) {
    return watch->trigger_.valid() && watch->trigger_.get() == descriptor;
  });
  if (listener != armed_.end()) ReadTrigger(**listener);
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
      if (!event.created && !event.touched) continue;
      // No name: this platform does not report it.
      if (event.name.empty())
        events.look = events.look || event.created;
      else if (events.names.size() < kMostNames)
        events.names.emplace_back(event.name);
      else
        events.lost = true;
    }
  });
  for (Watch* const watch : armed_) {
    if (result == -1) watch->events_.lost = true;
    Wake(*watch);
  }
  if (result == 0) return;
  // The descriptor would be readable forever but cannot be read. The next Arm opens another.
  for (const auto& [id, target] : targets_) platform::RemoveWatch(events_.get(), id);
  targets_.clear();
  ForgetEvents();
}

void Watcher::ReadTrigger(Watch& watch) {
  std::array<char, 512> bytes;
  ssize_t size = 0;
  bool pulled = false;
  while ((size = RetryInterrupted(::read, watch.trigger_.get(), bytes.data(), bytes.size())) > 0)
    pulled = true;
  // Cannot be read, but would be readable forever. The next Listen opens it again.
  if (size == -1 && errno != EAGAIN) ForgetTrigger(watch);
  watch.events_.pulled = watch.events_.pulled || pulled;
  Wake(watch);
  if (!pulled || !watch.shares_trigger_) return;
  // The host queues of a queue share one trigger, and a byte of it reaches one reader only.
  for (Watch* const other : armed_) {
    if (other == &watch || !other->trigger_.valid() || other->trigger_id_ != watch.trigger_id_) continue;
    other->events_.pulled = true;
    Wake(*other);
  }
}

void Watcher::Wake(Watch& watch) {
  if (watch.awaited_ && watch.events_.any(watch.closes_)) {
    SetAwaited(watch, false);
    watch.wake_();
  }
}

}  // namespace fsq
