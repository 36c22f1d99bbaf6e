#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/fault_point.h"
#include "files/file_lock.h"
#include "files/path_lock.h"

namespace fsq {
namespace {

// Kind and mode of a lock, packed into one number below this.
constexpr int64_t kOperations = 8;
LockKind KindOf(int64_t operation) {
  return static_cast<LockKind>(operation & 3);
}
bool IsExclusive(int64_t operation) {
  return (operation & 4) != 0;
}

// (path, operation, start, length, create) -> [claim, descriptor], or a failure (EAGAIN: another holder has
// the lock), or null if the path names something that cannot be locked
class LockPathTask : public Task {
 public:
  explicit LockPathTask(JsArguments& arguments) {
    request_.path = arguments[0].Bytes();
    request_.kind = KindOf(arguments[1].Integer());
    request_.exclusive = IsExclusive(arguments[1].Integer());
    request_.range = {arguments[2].Integer(), arguments[3].Integer()};
    request_.create = arguments[4].Flag();
  }

  void Run() override { lock_ = LockPath(request_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    if (lock_.not_a_file) return js.Checked(js.Null());
    if (lock_.failure) return js.FailureObject(lock_.failure);
    const AddonData::ClaimId id = data.NewClaimId();
    napi_value answer = js.Array(2);
    js.Set(answer, size_t{0}, js.Number(static_cast<double>(id)));
    js.Set(answer, size_t{1}, js.Number(lock_.held.get()));
    if (js.ok()) data.Hold(id, {std::move(lock_.held), {}, nullptr});
    return js.Checked(answer);
  }

 private:
  PathLockRequest request_;
  PathLock lock_;
};

// (target and operation in one number, start?, length?). As few arguments as possible: reading each one costs
// a tenth of the system call.
struct LockArguments {
  explicit LockArguments(JsArguments& arguments) {
    const int64_t packed = arguments[0].Integer();
    target = packed / kOperations;
    kind = KindOf(packed % kOperations);
    exclusive = IsExclusive(packed % kOperations);
    if (arguments.count() > 1) range = {arguments[1].Integer(), arguments[2].Integer()};
  }

  int64_t target;
  LockKind kind;
  bool exclusive;
  LockRange range;
};

// undefined: success.
napi_value ErrorNumber(napi_env env, int result) {
  if (result == 0) return nullptr;
  return JsBuilder(env).Number(LastError());
}

int TryLockWith(int fd, const LockArguments& lock) {
  return FSQ_CALL("lock.lock", TryLock(fd, lock.kind, lock.exclusive, lock.range));
}

// -> undefined, or a negative errno (EAGAIN: another holder has the lock)
napi_value LockDescriptor(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const LockArguments lock(arguments);
  return arguments.ok() ? ErrorNumber(env, TryLockWith(static_cast<int>(lock.target), lock)) : nullptr;
}

// The same on another thread, for a file whose server may keep the call waiting.
class LockDescriptorTask : public Task {
 public:
  explicit LockDescriptorTask(JsArguments& arguments) : lock_(arguments) {}

  void Run() override {
    if (TryLockWith(static_cast<int>(lock_.target), lock_) == -1) error_ = LastError();
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(error_ == 0 ? js.Undefined() : js.Number(error_));
  }

 private:
  LockArguments lock_;
  int error_ = 0;
};

napi_value UnlockDescriptor(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const LockArguments lock(arguments);
  if (!arguments.ok()) return nullptr;
  return ErrorNumber(env, Unlock(static_cast<int>(lock.target), lock.kind, lock.range));
}

// LockDescriptor on the descriptor of a claim, provided that the claim still owns it.
napi_value LockClaim(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const LockArguments lock(arguments);
  if (!arguments.ok()) return nullptr;
  const ClaimedDescriptor* const claim = DataOf(env).Find(lock.target);
  if (claim == nullptr || !claim->IsIntact()) {
    errno = EBADF;
    return ErrorNumber(env, -1);
  }
  return ErrorNumber(env, TryLockWith(claim->get(), lock));
}

// (descriptor, least) -> another descriptor of the same open file, not below `least`, which the caller closes
// by closeDescriptor; or a failure
napi_value RaiseDescriptor(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto fd = static_cast<int>(arguments[0].Integer());
  const auto least = static_cast<int>(arguments[1].Integer());
  if (!arguments.ok()) return nullptr;
  ClaimedDescriptor raised(RetryInterrupted([&] { return ::fcntl(fd, F_DUPFD_CLOEXEC, least); }),
                           LockKind::kNone);
  JsBuilder js(env);
  if (!raised.valid()) return js.Checked(js.FailureObject(Failure{LastError(), "fcntl", {}, {}}));
  napi_value number = js.Number(raised.get());
  if (js.ok()) DataOf(env).LendDescriptor(std::move(raised));
  return js.Checked(number);
}

// (descriptor of raiseDescriptor or openItem) -> whether it was one, and has been closed
class CloseDescriptorTask : public Task {
 public:
  explicit CloseDescriptorTask(JsArguments& arguments) {
    const auto fd = static_cast<int>(arguments[0].Integer());
    if (arguments.ok()) lent_ = DataOf(arguments.env()).TakeLent(fd);
    found_ = lent_.valid();
  }

  void Run() override { lent_.Reset(); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(js.Boolean(found_));
  }

 private:
  ClaimedDescriptor lent_;
  bool found_;
};

constexpr Binding kFunctions[] = {
    {"lockPath", Start<LockPathTask>},
    {"lockPathSync", StartSync<LockPathTask>},
    {"lockDescriptor", LockDescriptor},
    {"lockDescriptorLater", Start<LockDescriptorTask>},
    {"unlockDescriptor", UnlockDescriptor},
    {"lockClaim", LockClaim},
    {"raiseDescriptor", RaiseDescriptor},
    {"closeDescriptor", StartSync<CloseDescriptorTask>},
    {"closeDescriptorLater", Start<CloseDescriptorTask>},
};

}  // namespace

const std::span<const Binding> kLockFunctions = kFunctions;

}  // namespace fsq
