#include <memory>
#include <string>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "queue/directory.h"

namespace fsq {
namespace {

class OpenTask : public Task {
 public:
  explicit OpenTask(JsArguments& arguments) : path_(arguments[0].Text()), locking_(arguments[2].Flag()) {
    const JsArgument names = arguments[1];
    for (size_t place = 0; place < kPlaces; place++) layout_.names[place] = names.Element(place).Text();
    layout_.down = names.Element(kPlaces).Text();
    layout_.marker = names.Element(kPlaces + 1).Text();
    layout_.rename_marker = names.Element(kPlaces + 2).Text();
    layout_.claimed = names.Element(kPlaces + 3).Text();
    layout_.rename_down = names.Element(kPlaces + 4).Text();
    if (const JsArgument parent = names.Element(kPlaces + 5); !parent.omitted())
      layout_.parent = parent.Text();
  }

  void Run() override { directory_ = QueueDirectory::Open(path_, layout_, locking_, &failure_); }

  napi_value Answer(napi_env env, AddonData&) override {
    if (directory_) return NewHandle<QueueBox>(env, std::move(directory_));
    return JsBuilder(env).FailureObject(failure_);
  }

 private:
  std::string path_;
  bool locking_;
  QueueDirectory::Layout layout_;
  std::shared_ptr<QueueDirectory> directory_;
  Failure failure_;
};

// (queue, lately) -> boolean, or a failure. `lately`: a look that is less than 10 ms old will do, so that a
// loop can ask before it hands out each item.
napi_value IsDownSync(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  const bool lately = arguments[1].Flag();
  if (!arguments.ok()) return nullptr;
  const int down = lately ? directory->IsDownLately() : directory->IsDown();
  JsBuilder js(env);
  if (down == -1) return js.FailureObject(Failure{LastError(), "fstatat", "down"});
  return js.Boolean(down == 1);
}

// The same, on another thread.
class IsDownTask : public Task {
 public:
  explicit IsDownTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])), lately_(arguments[1].Flag()) {}

  void Run() override {
    down_ = lately_ ? directory_->IsDownLately() : directory_->IsDown();
    if (down_ == -1) failure_ = Failure{LastError(), "fstatat", "down"};
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(failure_ ? js.FailureObject(failure_) : js.Boolean(down_ == 1));
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  bool lately_;
  int down_ = 0;
  Failure failure_;
};

// (): this process has taken a queue down.
napi_value NoteDown(napi_env, napi_callback_info) {
  QueueDirectory::NoteDown();
  return nullptr;
}

// (queue): closes the queue when its last claim has ended.
napi_value RetireQueue(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  QueueBox* const box = BoxOf<QueueBox>(arguments[0]);
  if (box != nullptr && box->value) box->retired = std::exchange(box->value, nullptr);
  return nullptr;
}

// (queue) -> whether its items are claimed with fcntl locks
napi_value UsesFcntl(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  if (!directory) return nullptr;
  return JsBuilder(env).Boolean(directory->lock_kind() == LockKind::kDescription);
}

// (queue) -> whether its items are claimed by renaming them
napi_value ClaimsByRename(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  return directory ? JsBuilder(env).Boolean(directory->claims_by_rename()) : nullptr;
}

// (queue) -> the file system that it is on
napi_value FileSystemOf(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  return directory ? JsBuilder(env).FileSystemObject(directory->file_system()) : nullptr;
}

constexpr Binding kFunctions[] = {
    {"openQueue", Start<OpenTask>},  {"openQueueSync", StartSync<OpenTask>},
    {"closeQueue", Close<QueueBox>}, {"retireQueue", RetireQueue},
    {"usesFcntl", UsesFcntl},        {"claimsByRename", ClaimsByRename},
    {"fileSystemOf", FileSystemOf},  {"isDownSync", IsDownSync},
    {"isDown", Start<IsDownTask>},   {"noteDown", NoteDown},
};

}  // namespace

const std::span<const Binding> kQueueFunctions = kFunctions;

}  // namespace fsq
