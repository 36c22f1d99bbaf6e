#include <fcntl.h>

#include <string>

#include "bindings/bindings.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/descriptor.h"
#include "files/probe.h"
#include "platform/platform.h"

namespace fsq {
namespace {

class FindFileSystemTask : public Task {
 public:
  explicit FindFileSystemTask(JsArguments& arguments) : path_(arguments[0].Text()) {}

  void Run() override {
    const Descriptor directory(RetryInterrupted(::open, path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) {
      failure_ = Failure{LastError(), "open", path_};
    } else if (platform::FindFileSystem(directory.get(), &found_) == -1) {
      failure_ = Failure{LastError(), "fstatfs", path_};
    }
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return failure_ ? js.FailureObject(failure_) : js.FileSystemObject(found_);
  }

 private:
  std::string path_;
  platform::FileSystem found_;
  Failure failure_;
};

class ProbeTask : public Task {
 public:
  explicit ProbeTask(JsArguments& arguments) : path_(arguments[0].Text()) {}

  void Run() override { failure_ = Probe(path_, &found_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    if (failure_) return js.FailureObject(failure_);
    napi_value result = js.Object();
    napi_value features = js.Object();
    for (const Feature& feature : found_.features) js.Set(features, feature.name, js.Number(feature.error));
    js.Set(result, "features", features);
    js.Set(result, "timestampStep", js.Number(static_cast<double>(found_.timestamp_step_ns)));
    js.Set(result, "nameMax", js.Number(static_cast<double>(found_.name_max)));
    js.Set(result, "device", js.Number(static_cast<double>(found_.device)));
    return js.Checked(result);
  }

 private:
  std::string path_;
  ProbeResult found_;
  Failure failure_;
};

constexpr Binding kFunctions[] = {
    {"findFileSystem", Start<FindFileSystemTask>},
    {"probe", Start<ProbeTask>},
};

}  // namespace

const std::span<const Binding> kProbeFunctions = kFunctions;

}  // namespace fsq
