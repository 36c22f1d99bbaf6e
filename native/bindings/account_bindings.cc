#include <grp.h>
#include <pwd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"

namespace fsq {
namespace {

constexpr size_t kMaxDatabaseRecord = size_t{1} << 20;

// Calls getpwnam_r or getgrnam_r. Returns the id, a failure, or undefined for an unknown name.
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
  // POSIX lets a look-up report 'no such name' with several errnos.
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

constexpr Binding kFunctions[] = {
    {"userId", UserId},
    {"groupId", GroupId},
};

}  // namespace

const std::span<const Binding> kAccountFunctions = kFunctions;

}  // namespace fsq
