#include <string>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "names/time_text.h"

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

constexpr Binding kFunctions[] = {
    {"formatTime", FormatTimeJs},
    {"parseTime", ParseTimeJs},
};

}  // namespace

const std::span<const Binding> kTimeFunctions = kFunctions;

}  // namespace fsq
