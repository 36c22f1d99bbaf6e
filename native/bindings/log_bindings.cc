#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "calls/failure.h"
#include "files/item_log.h"

namespace fsq {
namespace {

// (path, line, kind of lock, mode, user, group) -> the size of the log, or a failure. Synchronous: a crash
// mark must be in the log before its item runs. finish appends the other lines.
napi_value AppendLogSync(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  LogAppend append{.path = arguments[0].Bytes(),
                   .line = arguments[1].Text(),
                   .form = {.lock = static_cast<LockKind>(arguments[2].Integer()),
                            .mode = static_cast<mode_t>(arguments[3].Integer()),
                            .user = arguments[4].Integer(),
                            .group = arguments[5].Integer()}};
  if (!arguments.ok()) return nullptr;
  AppendToLog(append);
  JsBuilder js(env);
  return js.Checked(append.failure ? js.FailureObject(append.failure)
                                   : js.Number(static_cast<double>(append.size)));
}

constexpr Binding kFunctions[] = {
    {"appendLogSync", AppendLogSync},
};

}  // namespace

const std::span<const Binding> kLogFunctions = kFunctions;

}  // namespace fsq
