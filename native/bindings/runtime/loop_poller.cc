#include "bindings/runtime/loop_poller.h"

#include <cstddef>
#include <cstring>
#include <utility>

// libuv's own declarations come with the headers of Node, not with those of Node-API. These few are stable
// throughout libuv 1, which Node uses. They are weak, because other runtimes that load addons may not have
// them.
extern "C" {
using uv_loop_t = uv_loop_s;
struct uv_handle_t;

[[gnu::weak]] napi_status napi_get_uv_event_loop(napi_env env, uv_loop_t** loop);
[[gnu::weak]] size_t uv_handle_size(int type);
[[gnu::weak]] const char* uv_handle_type_name(int type);
[[gnu::weak]] void* uv_handle_get_data(const uv_handle_t* handle);
[[gnu::weak]] void uv_handle_set_data(uv_handle_t* handle, void* data);
[[gnu::weak]] int uv_poll_init(uv_loop_t* loop, uv_handle_t* handle, int descriptor);
[[gnu::weak]] int uv_poll_start(uv_handle_t* handle, int events,
                                void (*call)(uv_handle_t* handle, int status, int events));
[[gnu::weak]] int uv_poll_stop(uv_handle_t* handle);
[[gnu::weak]] void uv_unref(uv_handle_t* handle);
[[gnu::weak]] void uv_close(uv_handle_t* handle, void (*call)(uv_handle_t* handle));
}

namespace fsq {
namespace {

constexpr int kPoll = 8;      // UV_POLL
constexpr int kReadable = 1;  // UV_READABLE

bool HasLoop() {
  return napi_get_uv_event_loop != nullptr && uv_handle_size != nullptr && uv_handle_type_name != nullptr &&
         uv_handle_get_data != nullptr && uv_handle_set_data != nullptr && uv_poll_init != nullptr &&
         uv_poll_start != nullptr && uv_poll_stop != nullptr && uv_unref != nullptr && uv_close != nullptr &&
         std::strcmp(uv_handle_type_name(kPoll), "poll") == 0;
}

}  // namespace

struct LoopPoller::Known {
  uv_loop_t* loop = nullptr;
  size_t open = 0;
  napi_async_cleanup_hook_handle hook = nullptr;
  bool ends = false;

  // The environment may continue to end once its loop uses none of the descriptors any more.
  void LetEnd() {
    if (ends && open == 0) (void)napi_remove_async_cleanup_hook(std::exchange(hook, nullptr));
  }
};

// A descriptor with its handle in the loop, which the loop closes later than the poller does.
class LoopPoller::Entry {
 public:
  // Null: the loop refuses, and `error` has the reason.
  static Entry* Open(LoopPoller& poller, int descriptor, int* error) {
    auto entry = std::make_unique<Entry>(poller, descriptor);
    uv_handle_t* const handle = entry->handle();
    *error = uv_poll_init(poller.known_->loop, handle, descriptor);
    if (*error != 0) return nullptr;
    poller.known_->open++;
    uv_handle_set_data(handle, entry.get());
    // This does not keep the process alive; a waiting loop has a timer for that.
    uv_unref(handle);
    return entry.release();  // Closed takes it back
  }

  Entry(LoopPoller& poller, int descriptor)
      : poller_(&poller),
        known_(poller.known_),
        descriptor_(descriptor),
        memory_(std::make_unique<std::max_align_t[]>(uv_handle_size(kPoll) / sizeof(std::max_align_t) + 1)) {}

  // Neither can fail on an open handle.
  void Start() {
    if (!std::exchange(started_, true)) (void)uv_poll_start(handle(), kReadable, Ready);
  }
  void Stop() {
    if (std::exchange(started_, false)) (void)uv_poll_stop(handle());
  }

  void Close() {
    poller_ = nullptr;
    uv_close(handle(), Closed);
  }

 private:
  uv_handle_t* handle() const { return reinterpret_cast<uv_handle_t*>(memory_.get()); }

  static void Ready(uv_handle_t* handle, int status, int) {
    Entry* const entry = static_cast<Entry*>(uv_handle_get_data(handle));
    // On an error libuv has already stopped the handle.
    if (status < 0) entry->started_ = false;
    LoopPoller* const poller = entry->poller_;
    if (poller == nullptr) return;
    if (!poller->awaited_) return entry->Stop();
    poller->ready(entry->descriptor_);
    poller->after_();
  }

  static void Closed(uv_handle_t* handle) {
    const std::unique_ptr<Entry> entry(static_cast<Entry*>(uv_handle_get_data(handle)));
    entry->known_->open--;
    entry->known_->LetEnd();
  }

  LoopPoller* poller_;  // null: the poller has closed this entry
  const std::shared_ptr<Known> known_;
  const int descriptor_;
  const std::unique_ptr<std::max_align_t[]> memory_;
  bool started_ = false;
};

std::unique_ptr<LoopPoller> LoopPoller::Of(napi_env env, std::function<void()> after) {
  auto known = std::make_shared<Known>();
  if (!HasLoop() || napi_get_uv_event_loop(env, &known->loop) != napi_ok) return nullptr;
  const auto end = [](napi_async_cleanup_hook_handle, void* data) {
    const std::unique_ptr<std::shared_ptr<Known>> owned(static_cast<std::shared_ptr<Known>*>(data));
    (*owned)->ends = true;
    (*owned)->LetEnd();
  };
  auto kept = std::make_unique<std::shared_ptr<Known>>(known);
  if (napi_add_async_cleanup_hook(env, end, kept.get(), &known->hook) != napi_ok) return nullptr;
  (void)kept.release();
  return std::unique_ptr<LoopPoller>(new LoopPoller(std::move(known), std::move(after)));
}

LoopPoller::LoopPoller(std::shared_ptr<Known> known, std::function<void()> after)
    : known_(std::move(known)), after_(std::move(after)) {}

LoopPoller::~LoopPoller() {
  for (const auto& [descriptor, entry] : entries_) entry->Close();
}

Failure LoopPoller::Add(int descriptor) {
  int error = 0;
  Entry* const entry = Entry::Open(*this, descriptor, &error);
  if (entry == nullptr) return Failure{error, "epoll_ctl"};
  entries_.emplace(descriptor, entry);
  if (awaited_) entry->Start();
  return {};
}

void LoopPoller::Remove(int descriptor) {
  const auto known = entries_.find(descriptor);
  if (known == entries_.end()) return;
  known->second->Close();
  entries_.erase(known);
}

void LoopPoller::SetAwaited(bool awaited) {
  awaited_ = awaited;
  if (!awaited) return;
  for (const auto& [descriptor, entry] : entries_) entry->Start();
}

}  // namespace fsq
