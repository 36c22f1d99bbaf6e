#include <fcntl.h>

#include <cerrno>
#include <string>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "files/file_info.h"
#include "names/time_text.h"
#include "platform/platform.h"

namespace fsq {
namespace {

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

// (path) -> milliseconds since the epoch, undefined if nothing has the path, or a failure. Much less work
// than the Stats object of node:fs, for a look before each item that comes by an event.
napi_value ModifiedAtJs(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const std::string path = arguments[0].Bytes();
  if (!arguments.ok()) return nullptr;
  struct stat found;
  JsBuilder js(env);
  if (LookAt(AT_FDCWD, path, &found) == -1)
    return errno == ENOENT ? nullptr : js.Checked(js.FailureObject(Failure{LastError(), "lstat", path}));
  const timespec& modified = platform::ModifiedAt(found);
  return js.Number(static_cast<double>(modified.tv_sec) * 1000 +
                   static_cast<double>(modified.tv_nsec) / 1'000'000);
}

constexpr Binding kFunctions[] = {
    {"formatTime", FormatTimeJs},
    {"parseTime", ParseTimeJs},
    {"modifiedAt", ModifiedAtJs},
};

}  // namespace

const std::span<const Binding> kTimeFunctions = kFunctions;

}  // namespace fsq
