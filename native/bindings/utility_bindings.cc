#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../clock.h"
#include "../fault_point.h"
#include "../install.h"
#include "../time_text.h"
#include "bindings.h"
#include "ends.h"
#include "js_argument.h"
#include "js_value.h"
#include "task.h"

namespace fsq {
namespace {

constexpr size_t kMaxDatabaseRecord = size_t{1} << 20;

class InstallTask : public Task {
 public:
  static std::unique_ptr<InstallTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<InstallTask>();
    const auto plan = info[0].As<Napi::Object>();
    Installation& installation = task->installation_;
    installation.root = plan.Get("root").As<Napi::String>().Utf8Value();
    installation.hidden = plan.Get("hidden").As<Napi::String>().Utf8Value();
    installation.name = plan.Get("name").As<Napi::String>().Utf8Value();
    const auto directories = plan.Get("directories").As<Napi::Array>();
    for (uint32_t at = 0; at < directories.Length(); at++) {
      installation.directories.push_back(Napi::Value(directories[at]).As<Napi::String>().Utf8Value());
    }
    installation.marker = plan.Get("marker").As<Napi::String>().Utf8Value();
    installation.mode = static_cast<mode_t>(plan.Get("mode").As<Napi::Number>().Int64Value());
    installation.user = plan.Get("user").As<Napi::Number>().Int64Value();
    installation.group = plan.Get("group").As<Napi::Number>().Int64Value();
    installation.replace = plan.Get("replace").As<Napi::Boolean>().Value();
    return info.Env().IsExceptionPending() ? nullptr : std::move(task);
  }

  void Run() override { failure_ = Install(installation_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    napi_value result = failure_ ? js.FailureObject(failure_) : js.Object();
    js.Set(result, "published", js.Boolean(installation_.published));
    if (!installation_.leftover.empty()) js.Set(result, "leftover", js.Bytes(installation_.leftover));
    return js.Checked(result);
  }

 private:
  Installation installation_;
  Failure failure_;
};

class RelocateTask : public Task {
 public:
  static std::unique_ptr<RelocateTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<RelocateTask>();
    task->root_ = info[0].As<Napi::String>().Utf8Value();
    task->from_ = info[1].As<Napi::String>().Utf8Value();
    task->to_ = info[2].As<Napi::String>().Utf8Value();
    return info.Env().IsExceptionPending() ? nullptr : std::move(task);
  }

  void Run() override { failure_ = Relocate(root_, from_, to_, &moved_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    if (!failure_) return js.Checked(js.Undefined());
    napi_value result = js.FailureObject(failure_);
    js.Set(result, "moved", js.Boolean(moved_));
    return js.Checked(result);
  }

 private:
  std::string root_;
  std::string from_;
  std::string to_;
  bool moved_ = false;
  Failure failure_;
};

// (format, seconds, microseconds, utc) -> text
Napi::Value FormatTimeJs(const Napi::CallbackInfo& info) {
  const std::string format = info[0].As<Napi::String>().Utf8Value();
  const Instant instant{info[1].As<Napi::Number>().Int64Value(), info[2].As<Napi::Number>().Int32Value()};
  return Napi::String::New(info.Env(), FormatTime(format, instant, info[3].As<Napi::Boolean>().Value()));
}

// (format, text, utc) -> milliseconds since the epoch, or undefined
Napi::Value ParseTimeJs(const Napi::CallbackInfo& info) {
  const std::string format = info[0].As<Napi::String>().Utf8Value();
  const std::string text = info[1].As<Napi::String>().Utf8Value();
  const auto instant = ParseTime(format, text, info[2].As<Napi::Boolean>().Value());
  if (!instant) return info.Env().Undefined();
  return Napi::Number::New(info.Env(),
                           static_cast<double>(instant->seconds) * 1000 + instant->microseconds / 1000.0);
}

// getpwnam_r and getgrnam_r alike: the id, a failure, or undefined for a name that nobody has.
template <typename Record, typename Lookup, typename Id>
Napi::Value FindId(const Napi::CallbackInfo& info, const char* syscall, Lookup lookup, Id id) {
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  std::vector<char> buffer(4096);
  Record record{};
  Record* found = nullptr;
  int error = 0;
  while ((error = lookup(name.c_str(), &record, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kMaxDatabaseRecord) {
    buffer.resize(buffer.size() * 2);
  }
  if (found != nullptr) return Napi::Number::New(info.Env(), static_cast<double>(id(record)));
  // POSIX lets a look-up say 'no such name' by several errnos.
  if (error == 0 || error == ENOENT || error == ESRCH) return info.Env().Undefined();
  return {info.Env(), JsBuilder(info.Env()).FailureObject({-error, syscall, {}, {}})};
}

Napi::Value UserId(const Napi::CallbackInfo& info) {
  return FindId<passwd>(info, "getpwnam_r", ::getpwnam_r, [](const passwd& record) { return record.pw_uid; });
}

Napi::Value GroupId(const Napi::CallbackInfo& info) {
  return FindId<group>(info, "getgrnam_r", ::getgrnam_r, [](const group& record) { return record.gr_gid; });
}

// How many claims this thread holds.
Napi::Value HeldClaims(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(DataOf(info.Env()).claims.size()));
}

// So long the JavaScript thread is taken to look again by itself.
constexpr int64_t kLookAgainNs = 100'000;

// (again) -> how many tasks are under way in lanes; those that have ended are answered. `again`: another call
// follows at once.
Napi::Value SettleEnds(const Napi::CallbackInfo& info) {
  const std::shared_ptr<Ends> ends = DataOf(info.Env()).ends;
  if (!ends) return Napi::Number::New(info.Env(), 0);
  ends->LookOutUntil(FlagOf(info[0]) ? NowNs() + kLookAgainNs : 0);
  return Napi::Number::New(info.Env(), static_cast<double>(ends->Settle(info.Env(), true)));
}

// The process exits: operations that have not begun will not, and nothing stays of what is half-written.
Napi::Value Stop(const Napi::CallbackInfo& info) {
  AddonData& data = DataOf(info.Env());
  data.stopping->store(true, std::memory_order_relaxed);
  data.AbandonDrafts();
  return info.Env().Undefined();
}

#ifdef FSQ_FAULT_POINTS

Napi::Value SetFaults(const Napi::CallbackInfo& info) {
  fault::Set(info[0].As<Napi::String>().Utf8Value());
  return info.Env().Undefined();
}

Napi::Value FaultPoints(const Napi::CallbackInfo& info) {
  const Napi::Array names = Napi::Array::New(info.Env());
  for (const std::string& point : fault::Points())
    names.Set(names.Length(), Napi::String::New(info.Env(), point));
  return names;
}

#endif

constexpr Binding kFunctions[] = {
    {"install", Start<InstallTask>},
    {"relocate", Start<RelocateTask>},
    {"formatTime", FormatTimeJs},
    {"parseTime", ParseTimeJs},
    {"userId", UserId},
    {"groupId", GroupId},
    {"heldClaims", HeldClaims},
    {"settleEnds", SettleEnds},
    {"stop", Stop},
#ifdef FSQ_FAULT_POINTS
    {"setFaults", SetFaults},
    {"faultPoints", FaultPoints},
#endif
};

}  // namespace

void ExportUtilityFunctions(Napi::Object exports) {
  Export(exports, kFunctions);
}

}  // namespace fsq
