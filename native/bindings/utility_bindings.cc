#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/runtime/ends.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/clock.h"
#include "calls/fault_point.h"
#include "names/time_text.h"
#include "queue/install.h"

namespace fsq {
namespace {

constexpr size_t kMaxDatabaseRecord = size_t{1} << 20;

class InstallTask : public Task {
 public:
  explicit InstallTask(JsArguments& arguments) {
    const JsArgument plan = arguments[0];
    installation_.root = plan.Property("root").Text();
    installation_.hidden = plan.Property("hidden").Text();
    installation_.name = plan.Property("name").Text();
    const JsArgument directories = plan.Property("directories");
    const size_t count = directories.Length();
    for (size_t at = 0; at < count; at++) installation_.directories.push_back(directories.Element(at).Text());
    installation_.marker = plan.Property("marker").Text();
    installation_.mode = static_cast<mode_t>(plan.Property("mode").Integer());
    installation_.user = plan.Property("user").Integer();
    installation_.group = plan.Property("group").Integer();
    installation_.replace = plan.Property("replace").Flag();
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
  explicit RelocateTask(JsArguments& arguments)
      : root_(arguments[0].Text()), from_(arguments[1].Text()), to_(arguments[2].Text()) {}

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
napi_value FormatTimeJs(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const std::string format = arguments[0].Text();
  const Instant instant{arguments[1].Integer(), static_cast<int>(arguments[2].Integer())};
  const bool utc = arguments[3].Flag();
  return arguments.ok() ? JsBuilder(env).Text(FormatTime(format, instant, utc)) : nullptr;
}

// (format, text, utc) -> milliseconds since the epoch, or undefined
napi_value ParseTimeJs(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const std::string format = arguments[0].Text();
  const std::string text = arguments[1].Text();
  const bool utc = arguments[2].Flag();
  if (!arguments.ok()) return nullptr;
  const auto instant = ParseTime(format, text, utc);
  if (!instant) return nullptr;
  return JsBuilder(env).Number(static_cast<double>(instant->seconds) * 1000 + instant->microseconds / 1000.0);
}

// getpwnam_r and getgrnam_r alike: the id, a failure, or undefined for a name that nobody has.
template <typename Record, typename Lookup, typename Id>
napi_value FindId(napi_env env, napi_callback_info info, const char* syscall, Lookup lookup, Id id) {
  JsArguments arguments(env, info);
  const std::string name = arguments[0].Text();
  if (!arguments.ok()) return nullptr;
  std::vector<char> buffer(4096);
  Record record{};
  Record* found = nullptr;
  int error = 0;
  while ((error = lookup(name.c_str(), &record, buffer.data(), buffer.size(), &found)) == ERANGE &&
         buffer.size() < kMaxDatabaseRecord) {
    buffer.resize(buffer.size() * 2);
  }
  if (found != nullptr) return JsBuilder(env).Number(static_cast<double>(id(record)));
  // POSIX lets a look-up say 'no such name' by several errnos.
  if (error == 0 || error == ENOENT || error == ESRCH) return nullptr;
  return JsBuilder(env).FailureObject({-error, syscall, {}, {}});
}

napi_value UserId(napi_env env, napi_callback_info info) {
  return FindId<passwd>(env, info, "getpwnam_r", ::getpwnam_r,
                        [](const passwd& record) { return record.pw_uid; });
}

napi_value GroupId(napi_env env, napi_callback_info info) {
  return FindId<group>(env, info, "getgrnam_r", ::getgrnam_r,
                       [](const group& record) { return record.gr_gid; });
}

// How many claims this thread holds.
napi_value HeldClaims(napi_env env, napi_callback_info) {
  return JsBuilder(env).Number(static_cast<double>(DataOf(env).claims.size()));
}

// So long the JavaScript thread is taken to look again by itself.
constexpr int64_t kLookAgainNs = 100'000;

// (again) -> how many tasks are under way in lanes; those that have ended are answered. `again`: another call
// follows at once.
napi_value SettleEnds(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const bool again = arguments[0].Flag();
  if (!arguments.ok()) return nullptr;
  const std::shared_ptr<Ends> ends = DataOf(env).ends;
  if (!ends) return JsBuilder(env).Number(0);
  ends->LookOutUntil(again ? NowNs() + kLookAgainNs : 0);
  return JsBuilder(env).Number(static_cast<double>(ends->Settle(env, true)));
}

// The process exits: operations that have not begun will not, and nothing stays of what is half-written.
napi_value Stop(napi_env env, napi_callback_info) {
  AddonData& data = DataOf(env);
  data.stopping->store(true, std::memory_order_relaxed);
  data.AbandonDrafts();
  return nullptr;
}

#ifdef FSQ_FAULT_POINTS

napi_value SetFaults(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const std::string rules = arguments[0].Text();
  if (arguments.ok()) fault::Set(rules);
  return nullptr;
}

napi_value FaultPoints(napi_env env, napi_callback_info) {
  JsBuilder js(env);
  napi_value names = js.Array(0);
  size_t count = 0;
  for (const std::string& point : fault::Points()) js.Set(names, count++, js.Text(point));
  return js.Checked(names);
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

const std::span<const Binding> kUtilityFunctions = kFunctions;

}  // namespace fsq
