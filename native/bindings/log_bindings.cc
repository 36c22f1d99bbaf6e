#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/failure.h"
#include "files/item_log.h"

namespace fsq {
namespace {

// (path, line, kind of lock, mode, user, group) -> the size of the log, or a failure. Synchronous for a crash
// mark, which must be in the log before its item runs. finish appends the lines of failed attempts.
class AppendLogTask : public Task {
 public:
  explicit AppendLogTask(JsArguments& arguments)
      : append_{.path = arguments[0].Bytes(),
                .line = arguments[1].Text(),
                .form = {.lock = static_cast<LockKind>(arguments[2].Integer()),
                         .mode = static_cast<mode_t>(arguments[3].Integer()),
                         .user = arguments[4].Integer(),
                         .group = arguments[5].Integer()}} {}

  void Run() override { AppendToLog(append_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return js.Checked(append_.failure ? js.FailureObject(append_.failure)
                                      : js.Number(static_cast<double>(append_.size)));
  }

 private:
  LogAppend append_;
};

constexpr Binding kFunctions[] = {
    {"appendLog", Start<AppendLogTask>},
    {"appendLogSync", StartSync<AppendLogTask>},
};

}  // namespace

const std::span<const Binding> kLogFunctions = kFunctions;

}  // namespace fsq
