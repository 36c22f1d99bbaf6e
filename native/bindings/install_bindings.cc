#include <string>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "queue/install.h"

namespace fsq {
namespace {

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
    const JsArgument files = plan.Property("files");
    const size_t texts = files.Length();
    for (size_t at = 0; at + 1 < texts; at += 2)
      installation_.files.push_back({files.Element(at).Text(), files.Element(at + 1).Text()});
    if (const JsArgument fifos = plan.Property("fifos"); !fifos.omitted()) {
      const size_t pipes = fifos.Length();
      for (size_t at = 0; at < pipes; at++) {
        const JsArgument fifo = fifos.Element(at);
        installation_.fifos.push_back(
            {fifo.Property("name").Text(), static_cast<mode_t>(fifo.Property("mode").Integer())});
      }
    }
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
      : root_(arguments[0].Text()),
        from_(arguments[1].Text()),
        to_(arguments[2].Text()),
        strict_(arguments[3].Flag()) {}

  void Run() override { failure_ = Relocate(root_, from_, to_, strict_, &moved_); }

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
  bool strict_;
  bool moved_ = false;
  Failure failure_;
};

constexpr Binding kFunctions[] = {
    {"install", Start<InstallTask>},
    {"relocate", Start<RelocateTask>},
};

}  // namespace

const std::span<const Binding> kInstallFunctions = kFunctions;

}  // namespace fsq
