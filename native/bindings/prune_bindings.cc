#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/descriptor.h"
#include "files/prune.h"

namespace fsq {
namespace {

// A descriptor of the task's own: the caller's may be closed while the task runs, and its number be that of
// another directory.
Descriptor CopyOf(const JsArgument& descriptor) {
  const auto given = static_cast<int>(descriptor.Integer());
  return Descriptor(RetryInterrupted([&] { return ::fcntl(given, F_DUPFD_CLOEXEC, 0); }));
}

napi_value NamesOf(JsBuilder& js, const std::vector<std::string>& names) {
  napi_value array = js.Array(names.size());
  for (size_t at = 0; at < names.size(); at++) js.Set(array, at, js.Bytes(names[at]));
  return array;
}

// (descriptor, before, equals, named)
class PruneTask : public Task {
 public:
  explicit PruneTask(JsArguments& arguments)
      : directory_(CopyOf(arguments[0])),
        limits_{.before_us = arguments[1].Integer(),
                .equals = static_cast<size_t>(std::max<int64_t>(0, arguments[2].Integer()))},
        named_(arguments[3].Flag()),
        stopping_(DataOf(arguments.env()).stopping) {}

  void Run() override { pruned_ = PruneNext(directory_.get(), limits_, named_, {stopping_.get()}); }

  // {isOver, count, equals, removed, linked, failure?}
  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    napi_value answer = js.Object();
    js.Set(answer, "isOver", js.Boolean(pruned_.is_over));
    js.Set(answer, "count", js.Number(static_cast<double>(pruned_.count)));
    js.Set(answer, "equals", js.Number(static_cast<double>(pruned_.equals)));
    js.Set(answer, "removed", NamesOf(js, pruned_.removed));
    js.Set(answer, "linked", NamesOf(js, pruned_.linked));
    if (pruned_.failure) js.Set(answer, "failure", js.FailureObject(pruned_.failure));
    return js.Checked(answer);
  }

 private:
  Descriptor directory_;
  PruneLimits limits_;
  bool named_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  Pruned pruned_;
};

// (descriptor)
class ChangesTask : public Task {
 public:
  explicit ChangesTask(JsArguments& arguments)
      : directory_(CopyOf(arguments[0])), stopping_(DataOf(arguments.env()).stopping) {}

  void Run() override { changes_ = ChangesNext(directory_.get(), &is_over_, {stopping_.get()}, &failure_); }

  // {isOver, changes, failure?}
  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    double* numbers = nullptr;
    napi_value changes = js.Numbers(changes_.size(), &numbers);
    if (js.ok()) std::copy(changes_.begin(), changes_.end(), numbers);
    napi_value answer = js.Object();
    js.Set(answer, "isOver", js.Boolean(is_over_));
    js.Set(answer, "changes", changes);
    if (failure_) js.Set(answer, "failure", js.FailureObject(failure_));
    return js.Checked(answer);
  }

 private:
  Descriptor directory_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  bool is_over_ = false;
  std::vector<double> changes_;
  Failure failure_;
};

constexpr Binding kFunctions[] = {
    {"pruneNext", Start<PruneTask>},
    {"changesNext", Start<ChangesTask>},
};

}  // namespace

const std::span<const Binding> kPruneFunctions = kFunctions;

}  // namespace fsq
