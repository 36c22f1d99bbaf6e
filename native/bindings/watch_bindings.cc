#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/loop_poller.h"
#include "bindings/runtime/task.h"
#include "bindings/runtime/threadsafe_function.h"
#include "calls/fault_point.h"
#include "files/file_info.h"
#include "platform/platform.h"
#include "queue/directory.h"
#include "waiting/watcher.h"

namespace fsq {
namespace {

// A watch, as JavaScript holds it.
struct Waiter {
  Waiter(uintptr_t number, std::shared_ptr<WakeUps> wake_ups);
  ~Waiter();

  const uintptr_t number;
  const std::shared_ptr<WakeUps> wake_ups;
  Watch watch;
  // The names that have appeared since the waiter began to wait, until they are listed.
  std::vector<std::string> names;
  // The callback to call once, while it waits. A strong reference only for that time, so that a loop that
  // nothing awaits any more can be garbage-collected.
  JsReference callback;
};

// Closing it ends the watch and closes the FIFO.
using WaiterBox = HandleBox<Waiter, 0x6673712d77616974>;

}  // namespace

// Wakes the waiters of one environment. It refers to them by number: a pointer could outlive its waiter.
class WakeUps : public std::enable_shared_from_this<WakeUps> {
 public:
  // Null: JavaScript can no longer run. `in_loop`: the event loop is Node's, so it may poll the watches
  // itself.
  static std::shared_ptr<WakeUps> Of(napi_env env, bool in_loop) {
    std::shared_ptr<WakeUps>& known = DataOf(env).wake_ups;
    if (!known) known = Create(env, in_loop);
    return known;
  }

  explicit WakeUps(napi_env env) : env_(env) {}
  ~WakeUps() {
    if (loop_watcher_) loop_watchers_.fetch_sub(1);
  }

  // Called by the poller.
  void Wake(uintptr_t number) {
    if (function_ == nullptr)
      woken_.push_back(number);
    else
      (void)napi_call_threadsafe_function(function_, reinterpret_cast<void*>(number), napi_tsfn_nonblocking);
  }

  // The environment is ending: nothing may call it from now on.
  void Close() {
    closed_ = true;
    for (const auto& [number, waiter] : waiters_) waiter->watch.Disarm();
    if (function_ != nullptr) (void)napi_release_threadsafe_function(function_, napi_tsfn_abort);
  }

  void Add(Waiter& waiter) { waiters_.emplace(waiter.number, &waiter); }
  void Remove(const Waiter& waiter) { waiters_.erase(waiter.number); }
  uintptr_t NewNumber() { return ++last_number_; }
  bool closed() const { return closed_; }
  Watcher& watcher() { return loop_watcher_ ? *loop_watcher_ : Watcher::Shared(); }

 private:
  static std::shared_ptr<WakeUps> Create(napi_env env, bool in_loop) {
    auto wake_ups = std::make_shared<WakeUps>(env);
    if (!in_loop || !wake_ups->UseLoop()) {
      wake_ups->function_ = NewThreadsafeFunction(env, "fsq.watch", CallThreadsafe);
      if (wake_ups->function_ == nullptr) return nullptr;
    }
    return CloseWithEnvironment(env, wake_ups) ? wake_ups : nullptr;
  }

  // Each loop that polls needs its own inotify instance, and a user has few of them.
  bool UseLoop() {
    if (loop_watchers_.fetch_add(1) < kMostLoopWatchers) {
      if (auto poller = LoopPoller::Of(env_, [this] { CallWoken(); })) {
        loop_watcher_ = std::make_unique<Watcher>(std::move(poller));
        return true;
      }
    }
    loop_watchers_.fetch_sub(1);
    return false;
  }

  static void CallThreadsafe(napi_env env, napi_value, void*, void* data) {
    if (env != nullptr) DataOf(env).wake_ups->Call(reinterpret_cast<uintptr_t>(data));
  }
  void CallWoken();
  void Call(uintptr_t number);

  static constexpr int kMostLoopWatchers = 8;
  // Counts the loops of this process that poll.
  static inline std::atomic<int> loop_watchers_{0};

  const napi_env env_;
  std::unique_ptr<Watcher> loop_watcher_;  // null: the shared watcher wakes, on its thread
  napi_threadsafe_function function_ = nullptr;
  std::vector<uintptr_t> woken_;
  std::unordered_map<uintptr_t, Waiter*> waiters_;
  uintptr_t last_number_ = 0;
  bool closed_ = false;
};

namespace {

Waiter::Waiter(uintptr_t own_number, std::shared_ptr<WakeUps> own_wake_ups)
    : number(own_number),
      wake_ups(std::move(own_wake_ups)),
      watch(wake_ups->watcher(), [ups = wake_ups.get(), own_number] { ups->Wake(own_number); }) {
  wake_ups->Add(*this);
}

Waiter::~Waiter() {
  wake_ups->Remove(*this);
}

// Packs the events into bits. The names stay here: making them JavaScript values would delay the waiter.
int BitsOf(Waiter& waiter, WatchEvents events) {
  enum : int { kClosed = 1, kLook = 2, kLost = 4, kPulled = 8 };
  std::move(events.names.begin(), events.names.end(), std::back_inserter(waiter.names));
  return (events.closed ? kClosed : 0) | (events.look ? kLook : 0) | (events.lost ? kLost : 0) |
         (events.pulled ? kPulled : 0);
}

// Reports an exception that a callback from the loop has thrown, which no JavaScript code can catch.
void ReportThrown(napi_env env, napi_status status) {
  napi_value error = nullptr;
  if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &error) == napi_ok)
    (void)napi_fatal_exception(env, error);
}

napi_value ResultOf(napi_env env, const Failure& failure) {
  return failure ? JsBuilder(env).FailureObject(failure) : nullptr;
}

// (whether the event loop may poll, as decided by the first call) -> watch
napi_value NewWatch(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const bool in_loop = arguments[0].Flag();
  if (!arguments.ok()) return nullptr;
  std::shared_ptr<WakeUps> wake_ups = WakeUps::Of(env, in_loop);
  if (!wake_ups || wake_ups->closed()) {
    arguments.Refuse("this thread ends");
    return nullptr;
  }
  const uintptr_t number = wake_ups->NewNumber();
  return NewHandle<WaiterBox>(env, std::make_shared<Waiter>(number, std::move(wake_ups)));
}

// (watch, path of the FIFO) -> undefined or a failure
class ListenTriggerTask : public Task {
 public:
  explicit ListenTriggerTask(JsArguments& arguments)
      : waiter_(Opened<WaiterBox>(arguments[0])), path_(arguments[1].Text()) {
    if (waiter_) known_ = waiter_->watch.trigger();
  }

  void Run() override { trigger_ = FindTrigger(path_, known_); }

  napi_value Answer(napi_env env, AddonData&) override {
    const Failure failure = waiter_->watch.Listen(std::move(trigger_));
    JsBuilder js(env);
    return js.Checked(failure ? js.FailureObject(failure) : js.Undefined());
  }

 private:
  std::shared_ptr<Waiter> waiter_;
  std::string path_;
  std::optional<FileId> known_;
  FoundTrigger trigger_;
};

// (watch, path of the queue, path of its queue/, path of its parent?, the queue?) -> undefined, or a failure,
// after which only the trigger is watched. With a queue, the watch is on its open directories, and no path is
// looked up (Linux).
napi_value ArmWatch(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto waiter = Opened<WaiterBox>(arguments[0]);
  std::string queue_path = arguments[1].Text();
  std::string items_path = arguments[2].Text();
  std::string parent_path;
  if (const JsArgument parent = arguments[3]; !parent.omitted()) parent_path = parent.Text();
  if (const JsArgument given = arguments[4]; !given.omitted()) {
    if (const auto directory = Opened<QueueBox>(given)) {
      queue_path = platform::PathOfOpen(directory->root(), std::move(queue_path));
      items_path = platform::PathOfOpen(directory->fd(Place::kQueue), std::move(items_path));
    }
  }
  if (!arguments.ok() || waiter->wake_ups->closed()) return nullptr;
  return ResultOf(env, waiter->watch.Arm(queue_path, items_path, parent_path));
}

// (watch)
napi_value DisarmWatch(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  if (const auto waiter = Opened<WaiterBox>(arguments[0])) waiter->watch.Disarm();
  return nullptr;
}

// (watch, closes, callback) -> the events, or undefined if there are none: then the callback will be called
// with them, once
napi_value AwaitWatch(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto waiter = Opened<WaiterBox>(arguments[0]);
  const bool closes = arguments[1].Flag();
  if (!arguments.ok()) return nullptr;
  waiter->names.clear();
  WatchEvents events = waiter->watch.TakeOrAwait(closes);
  if (events.any(closes)) return JsBuilder(env).Number(BitsOf(*waiter, std::move(events)));
  waiter->callback = arguments[2].Reference();
  return nullptr;
}

// (watch) -> the events; the callback will not be called
napi_value CancelWatch(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto waiter = Opened<WaiterBox>(arguments[0]);
  if (!waiter) return nullptr;
  waiter->callback.reset();
  return JsBuilder(env).Number(BitsOf(*waiter, waiter->watch.Take()));
}

// (listing, skipped, watch, names, kept, unkept): refills the listing with the names that have appeared,
// the given names (if any), items that others hold (see Skipped::Names) and items that are due -> how many
napi_value ListNews(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto listing = Opened<ListingBox>(arguments[0]);
  const auto skipped = Opened<SkippedBox>(arguments[1]);
  const auto waiter = Opened<WaiterBox>(arguments[2]);
  std::vector<std::string> names;
  if (const JsArgument given = arguments[3]; !given.omitted()) {
    names.resize(given.Length());
    for (size_t at = 0; at < names.size(); at++) names[at] = given.Element(at).Bytes();
  }
  const bool kept = arguments[4].Flag();
  const bool unkept = arguments[5].Flag();
  if (!arguments.ok()) return nullptr;
  std::ranges::move(skipped->Names(kept, unkept), std::back_inserter(names));
  std::ranges::move(waiter->names, std::back_inserter(names));
  waiter->names.clear();
  *listing = std::move(*Listing::Of(std::move(names)));
  if (!skipped->has_delayed()) listing->look_first = 0;
  return JsBuilder(env).Number(static_cast<double>(listing->size()));
}

// (path, mode) -> undefined or a failure; the umask applies
class MakeFifoTask : public Task {
 public:
  explicit MakeFifoTask(JsArguments& arguments)
      : path_(arguments[0].Text()), mode_(static_cast<mode_t>(arguments[1].Integer())) {}

  void Run() override {
    if (FSQ_CALL("trigger.mkfifo", ::mkfifo(path_.c_str(), mode_)) == -1)
      failure_ = {LastError(), "mkfifo", path_};
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(failure_ ? js.FailureObject(failure_) : js.Undefined());
  }

 private:
  std::string path_;
  mode_t mode_;
  Failure failure_;
};

constexpr Binding kFunctions[] = {
    {"newWatch", NewWatch},
    {"closeWatch", Close<WaiterBox>},
    {"listenTrigger", Start<ListenTriggerTask>},
    {"listenTriggerSync", StartSync<ListenTriggerTask>},
    {"armWatch", ArmWatch},
    {"disarmWatch", DisarmWatch},
    {"awaitWatch", AwaitWatch},
    {"cancelWatch", CancelWatch},
    {"listNews", ListNews},
    {"makeFifo", Start<MakeFifoTask>},
    {"makeFifoSync", StartSync<MakeFifoTask>},
};

}  // namespace

// Runs in the event loop, outside JavaScript.
void WakeUps::CallWoken() {
  if (woken_.empty() || closed_) return;
  const std::shared_ptr<WakeUps> alive = shared_from_this();
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  for (const uintptr_t number : std::exchange(woken_, {})) Call(number);
  (void)napi_close_handle_scope(env_, scope);
}

// Plain Node-API: while a worker thread is being terminated, any call may refuse.
void WakeUps::Call(uintptr_t number) {
  const auto known = waiters_.find(number);
  // The waiter has ended or was cancelled meanwhile.
  if (known == waiters_.end() || !known->second->callback) return;
  Waiter& waiter = *known->second;
  napi_value callback = nullptr;
  const napi_status status =
      napi_get_reference_value(env_, std::exchange(waiter.callback, {}).get(), &callback);
  JsBuilder js(env_);
  napi_value bits = js.Number(BitsOf(waiter, waiter.watch.TakeRead()));
  if (status != napi_ok || bits == nullptr) return;
  // From the event loop, the microtasks that the callback queues must be run here; a threadsafe function runs
  // them itself.
  napi_value receiver = js.Undefined();
  if (function_ != nullptr)
    (void)napi_call_function(env_, receiver, callback, 1, &bits, nullptr);
  else if (napi_get_global(env_, &receiver) == napi_ok)
    ReportThrown(env_, napi_make_callback(env_, nullptr, receiver, callback, 1, &bits, nullptr));
}

const std::span<const Binding> kWatchFunctions = kFunctions;

}  // namespace fsq
