#include <node_api.h>

#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "../fault_point.h"
#include "../file_lock.h"
#include "../path_lock.h"
#include "bindings.h"
#include "js_argument.h"
#include "js_value.h"
#include "task.h"

namespace fsq {
namespace {

// How a lock is asked for, in one number below this.
constexpr int64_t kOperations = 8;
LockKind KindOf(int64_t operation) {
  return static_cast<LockKind>(operation & 3);
}
bool IsExclusive(int64_t operation) {
  return (operation & 4) != 0;
}

// (path, operation, start, length, create) -> [claim, descriptor], or a failure (EAGAIN: taken); null:
// there is something that is not locked
class LockPathTask : public Task {
 public:
  static std::unique_ptr<LockPathTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<LockPathTask>();
    PathLockRequest& request = task->request_;
    request.path = BytesOf(info[0]);
    request.kind = KindOf(IntegerOf(info[1]));
    request.exclusive = IsExclusive(IntegerOf(info[1]));
    request.range = {IntegerOf(info[2]), IntegerOf(info[3])};
    request.create = FlagOf(info[4]);
    return info.Env().IsExceptionPending() ? nullptr : std::move(task);
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
    if (js.ok()) data.Hold(id, std::move(lock_.held));
    return js.Checked(answer);
  }

 private:
  PathLockRequest request_;
  PathLock lock_;
};

struct LockArguments {
  int64_t target = -1;
  LockKind kind = LockKind::kNone;
  bool exclusive = false;
  LockRange range;
};

// (target and operation in one number, start?, length?), without the C++ wrapper, and as few as possible:
// reading each costs a tenth of the system call. False: they are something else, which only src/native.ts
// could have passed.
bool Read(napi_env env, napi_callback_info info, LockArguments* arguments) {
  std::array<napi_value, 3> values{};
  size_t count = values.size();
  int64_t packed = 0;
  bool ok = napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr) == napi_ok &&
            napi_get_value_int64(env, values[0], &packed) == napi_ok;
  if (count > 1) {
    ok = ok && napi_get_value_int64(env, values[1], &arguments->range.start) == napi_ok &&
         napi_get_value_int64(env, values[2], &arguments->range.length) == napi_ok;
  }
  const int operation = static_cast<int>(packed % kOperations);
  arguments->target = packed / kOperations;
  arguments->kind = KindOf(operation);
  arguments->exclusive = IsExclusive(operation);
  if (!ok) errno = EINVAL;
  return ok;
}

// Nothing: it has worked.
napi_value ErrorNumber(napi_env env, int result) {
  if (result == 0) return nullptr;
  napi_value number = nullptr;
  return napi_create_int32(env, LastError(), &number) == napi_ok ? number : nullptr;
}

int TryLockWith(int fd, const LockArguments& arguments) {
  return FSQ_CALL("lock.lock", TryLock(fd, arguments.kind, arguments.exclusive, arguments.range));
}

// -> undefined, or a negative error number (EAGAIN: taken)
napi_value LockDescriptor(napi_env env, napi_callback_info info) {
  LockArguments arguments;
  if (!Read(env, info, &arguments)) return ErrorNumber(env, -1);
  return ErrorNumber(env, TryLockWith(static_cast<int>(arguments.target), arguments));
}

napi_value UnlockDescriptor(napi_env env, napi_callback_info info) {
  LockArguments arguments;
  if (!Read(env, info, &arguments)) return ErrorNumber(env, -1);
  return ErrorNumber(env, Unlock(static_cast<int>(arguments.target), arguments.kind, arguments.range));
}

// LockDescriptor on the descriptor of a claim, if it still has its own.
napi_value LockClaim(napi_env env, napi_callback_info info) {
  LockArguments arguments;
  if (!Read(env, info, &arguments)) return ErrorNumber(env, -1);
  const ClaimedDescriptor* const claim = DataOf(env).Find(arguments.target);
  if (claim == nullptr || !claim->IsIntact()) {
    errno = EBADF;
    return ErrorNumber(env, -1);
  }
  return ErrorNumber(env, TryLockWith(claim->get(), arguments));
}

constexpr Binding kFunctions[] = {
    {"lockPath", Start<LockPathTask>},
    {"lockPathSync", StartSync<LockPathTask>},
};

}  // namespace

void ExportLockFunctions(Napi::Object exports) {
  Export(exports, kFunctions);
  const napi_env env = exports.Env();
  const auto add = [&](const char* name, napi_callback callback) {
    napi_value function = nullptr;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok)
      exports.Set(name, function);
  };
  add("lockDescriptor", LockDescriptor);
  add("unlockDescriptor", UnlockDescriptor);
  add("lockClaim", LockClaim);
}

}  // namespace fsq
