#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "queue/take_over.h"
#include "queue/worker_directory.h"

namespace fsq {
namespace {

// (queue) -> the name of its directory in claimed/; undefined: there is none
napi_value WorkerName(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  const auto worker = directory ? directory->KnownWorker() : nullptr;
  return worker ? JsBuilder(env).Bytes(worker->name()) : nullptr;
}

// (queue, milliseconds)
napi_value SetLease(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  const int64_t lease_ms = arguments[1].Integer();
  if (arguments.ok()) directory->set_lease_ms(lease_ms);
  return nullptr;
}

// (queue) -> the milliseconds until the fence falls; 0: it has fallen; -1: there is none
napi_value FenceLeft(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  if (!directory) return nullptr;
  const auto worker = directory->KnownWorker();
  return JsBuilder(env).Number(worker ? static_cast<double>(worker->LeftMs()) : -1);
}

// Answers with undefined, or with the failure.
class FailureTask : public Task {
 public:
  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(failure_ ? js.FailureObject(failure_) : js.Undefined());
  }

 protected:
  Failure failure_;
};

// (claim) -> whether the worker has lost it
napi_value IsLost(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const int64_t id = arguments[0].Integer();
  if (!arguments.ok()) return nullptr;
  const AddonData::HeldClaim* const claim = DataOf(env).FindClaim(id);
  return JsBuilder(env).Boolean(claim != nullptr && claim->holder && claim->holder->IsLost());
}

// (queue): makes its directory.
class MakeTask : public FailureTask {
 public:
  explicit MakeTask(JsArguments& arguments) : directory_(Opened<QueueBox>(arguments[0])) {}

  void Run() override { (void)directory_->Worker(&failure_); }

 private:
  std::shared_ptr<QueueDirectory> directory_;
};

// (queue): removes its directory.
class RetireTask : public FailureTask {
 public:
  explicit RetireTask(JsArguments& arguments) : directory_(Opened<QueueBox>(arguments[0])) {}

  void Run() override {
    const std::shared_ptr<WorkerDirectory> worker = directory_->ForgetWorker();
    if (worker && !worker->IsLost()) failure_ = worker->Remove();
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
};

// (queue) -> the dead workers
class SeizeTask : public Task {
 public:
  explicit SeizeTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])), stopping_(DataOf(arguments.env()).stopping) {}

  void Run() override { seized_ = SeizeDead(*directory_, {stopping_.get()}, &failure_); }

  // If some were taken over before the failure, the next call reports it.
  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    if (failure_ && seized_.empty()) return js.FailureObject(failure_);
    napi_value all = js.Array(seized_.size());
    for (size_t at = 0; at < seized_.size() && js.ok(); at++) js.Set(all, at, ObjectOf(env, js, seized_[at]));
    if (!js.ok()) return nullptr;
    size_t next = 0;
    for (Seized& seized : seized_) {
      for (Seized::Item& item : seized.items) {
        ClaimedDescriptor descriptor;
        descriptor.Remember(item.info);
        descriptor.RememberClaim(ChangedUs(item.info));
        data.Hold(ids_[next++], {std::move(descriptor), std::move(item.name), directory_, seized.directory});
      }
    }
    return all;
  }

 private:
  napi_value ObjectOf(napi_env env, JsBuilder& js, const Seized& seized) {
    napi_value claims = js.Array(seized.items.size());
    napi_value names = js.Array(seized.items.size());
    for (size_t at = 0; at < seized.items.size(); at++) {
      const auto id = ids_.emplace_back(DataOf(env).NewClaimId());
      js.Set(claims, at, js.Number(static_cast<double>(id)));
      js.Set(names, at, js.Bytes(seized.items[at].name));
    }
    napi_value object = js.Object();
    js.Set(object, "directory", NewHandle<SeizedBox>(env, seized.directory));
    js.Set(object, "name", js.Bytes(seized.directory->name()));
    js.Set(object, "lines", js.Buffer(seized.lines));
    js.Set(object, "claims", claims);
    js.Set(object, "names", names);
    return object;
  }

  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::vector<Seized> seized_;
  std::vector<AddonData::ClaimId> ids_;
  Failure failure_;
};

// (directory of a dead worker): removes it. The handle is closed.
class DismissTask : public FailureTask {
 public:
  explicit DismissTask(JsArguments& arguments) {
    SeizedBox* const box = OpenBoxOf<SeizedBox>(arguments[0]);
    if (box != nullptr) directory_ = std::move(box->value);
  }

  void Run() override { failure_ = directory_->Remove(); }

 private:
  std::shared_ptr<WorkerDirectory> directory_;
};

// (claim) -> a descriptor of the claimed file, which the caller closes by closeDescriptor; or a failure
class OpenItemTask : public Task {
 public:
  explicit OpenItemTask(JsArguments& arguments) {
    const int64_t id = arguments[0].Integer();
    const AddonData::HeldClaim* const claim = DataOf(arguments.env()).FindClaim(id);
    if (claim == nullptr) return;
    directory_ = claim->directory;
    holder_ = claim->holder;
    name_ = claim->name;
  }

  void Run() override {
    if (!holder_) {
      failure_ = Failure{-EBADF, "openat", {}, {}};
      return;
    }
    if (holder_->IsLost()) {
      errno = EOWNERDEAD;
    } else {
      opened_ = Descriptor(FSQ_CALL(
          "item.open",
          ::openat(holder_->fd(), name_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)));
      if (!opened_.valid() && (errno == ENOENT || errno == ESTALE))
        errno = directory_->Vanished(Place::kQueue) ? ESTALE : EOWNERDEAD;
    }
    struct stat info;
    if (!opened_.valid() || RetryInterrupted(::fstat, opened_.get(), &info) == -1) {
      failure_ = Failure{LastError(), "openat", holder_->PathOf(name_), {}};
      return;
    }
    lent_ = ClaimedDescriptor(opened_.Release(), LockKind::kNone);
    lent_.Remember(info);
    lent_.Lend();
  }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    if (failure_) return js.FailureObject(failure_);
    napi_value number = js.Number(lent_.get());
    if (js.ok()) data.LendDescriptor(std::move(lent_));
    return js.Checked(number);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<WorkerDirectory> holder_;
  std::string name_;
  Descriptor opened_;
  ClaimedDescriptor lent_;
  Failure failure_;
};

constexpr Binding kFunctions[] = {
    {"workerName", WorkerName},
    {"setLease", SetLease},
    {"fence", FenceLeft},
    {"isLost", IsLost},
    {"makeWorker", Start<MakeTask>},
    {"retireWorker", Start<RetireTask>},
    {"seize", Start<SeizeTask>},
    {"dismiss", Start<DismissTask>},
    {"openItem", Start<OpenItemTask>},
    {"openItemSync", StartSync<OpenItemTask>},
};

}  // namespace

const std::span<const Binding> kWorkerFunctions = kFunctions;

}  // namespace fsq
