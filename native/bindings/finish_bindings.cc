#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "queue/finish.h"

namespace fsq {
namespace {

constexpr size_t kValuesAMove = 3;

// The numbers that all lines of a call share: kind of lock, mode, user, group, and the size above which a log
// is too long.
constexpr size_t kLogNumbers = 5;

// (queue, moves, count, names, durable, logs, form). `moves`: three numbers for each item: claim, place, due
// time. `names`: the new names, undefined for an item that keeps its name; not passed if all do. `logs`: the
// path and the line for each item, undefined for an item without; not passed if there are none.
class FinishTask : public Task {
 public:
  explicit FinishTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])), durable_(arguments[4].Flag()) {
    const std::span<const double> moves = arguments[1].Numbers();
    const size_t count = std::min(static_cast<size_t>(arguments[2].Integer()), moves.size() / kValuesAMove);
    std::vector<std::string> names(count);
    if (const JsArgument given = arguments[3]; !given.omitted()) {
      for (size_t at = 0; at < count; at++) {
        const JsArgument name = given.Element(at);
        if (!name.omitted()) names[at] = name.Bytes();
      }
    }
    std::vector<std::optional<LogAppend>> logs = LogsOf(arguments, count);
    if (!arguments.ok()) return;
    // Take the claims out of the table before the task runs: once the task has closed a descriptor, another
    // claim may get its number. A claim that is not in the table has no descriptor, and its finish fails with
    // EBADF.
    AddonData& data = DataOf(arguments.env());
    items_.resize(count);
    ids_.reserve(count);
    for (size_t at = 0; at < count; at++) {
      const std::span<const double> move = moves.subspan(at * kValuesAMove, kValuesAMove);
      auto claim = data.Take(ids_.emplace_back(static_cast<AddonData::ClaimId>(move[0])));
      Finish& item = items_[at];
      item.descriptor = std::move(claim.descriptor);
      item.holder = std::move(claim.holder);
      item.to = names[at].empty() ? claim.name : std::move(names[at]);
      item.from = std::move(claim.name);
      item.to_place = static_cast<Place>(move[1]);
      item.discard = item.to_place == Place::kTmp;
      item.due_ms = static_cast<int64_t>(move[2]);
      if (!logs.empty()) item.log = std::move(logs[at]);
    }
  }

  void Run() override { FinishAll(*directory_, items_, durable_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    if (std::all_of(items_.begin(), items_.end(), [this](const Finish& item) { return IsPlain(item); }))
      return js.Number(spent_us());
    napi_value results = js.Array(items_.size());
    for (size_t at = 0; at < items_.size(); at++) js.Set(results, at, ResultOf(js, items_[at]));
    // An item that could not be moved stays claimed.
    for (size_t at = 0; at < items_.size(); at++) {
      Finish& item = items_[at];
      const bool is_held = item.holder ? !item.moved : item.descriptor.IsIntact();
      if (is_held) {
        data.Hold(ids_[at],
                  {std::move(item.descriptor), std::move(item.from), directory_, std::move(item.holder)});
      } else {
        // Other code has closed it, and its number may belong to another claim.
        item.descriptor.Forget();
      }
    }
    return js.Checked(results);
  }

 private:
  // Empty: no item has a line.
  std::vector<std::optional<LogAppend>> LogsOf(JsArguments& arguments, size_t count) {
    const JsArgument given = arguments[5];
    if (given.omitted()) return {};
    const std::span<const double> numbers = arguments[6].Numbers();
    if (numbers.size() < kLogNumbers) {
      given.Refuse("expected the form of the logs");
      return {};
    }
    const LogForm form{.lock = static_cast<LockKind>(numbers[0]),
                       .mode = static_cast<mode_t>(numbers[1]),
                       .user = static_cast<int64_t>(numbers[2]),
                       .group = static_cast<int64_t>(numbers[3])};
    longest_log_ = static_cast<int64_t>(numbers[4]);
    std::vector<std::optional<LogAppend>> logs(count);
    for (size_t at = 0; at < count; at++) {
      const JsArgument line = given.Element(2 * at + 1);
      if (line.omitted()) continue;
      logs[at] = LogAppend{.path = given.Element(2 * at).Bytes(), .line = line.Text(), .form = form};
    }
    return logs;
  }

  bool IsLogPlain(const Finish& item) const {
    return !item.log || (!item.log->failure && item.log->size <= longest_log_);
  }

  bool IsPlain(const Finish& item) const { return !item.failure && !item.undelayed && IsLogPlain(item); }

  // undefined: success. Otherwise {errno (0: the move has succeeded), ..., moved, undelayed, log?}.
  napi_value ResultOf(JsBuilder& js, const Finish& item) const {
    if (IsPlain(item)) return js.Undefined();
    napi_value result = js.FailureObject(item.failure);
    js.Set(result, "moved", js.Boolean(item.moved));
    js.Set(result, "undelayed", js.Boolean(item.undelayed));
    if (!IsLogPlain(item)) {
      const LogAppend& log = *item.log;
      js.Set(result, "log",
             log.failure ? js.FailureObject(log.failure) : js.Number(static_cast<double>(log.size)));
    }
    return result;
  }

  std::shared_ptr<QueueDirectory> directory_;
  bool durable_;
  int64_t longest_log_ = 0;
  std::vector<Finish> items_;
  std::vector<AddonData::ClaimId> ids_;
};

constexpr Binding kFunctions[] = {
    {"finishSync", StartSync<FinishTask>},
    {"finish", StartInLane<FinishTask, LaneOf<&QueueBox::finishes>>},
};

}  // namespace

const std::span<const Binding> kFinishFunctions = kFunctions;

}  // namespace fsq
