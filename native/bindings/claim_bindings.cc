#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/addon_data.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "names/plain_name.h"
#include "queue/claim.h"

namespace fsq {
namespace {

// The layout of the numbers in the answer to a claim: these for the batch, then these for each item.
constexpr size_t kValuesABatch = 6;
constexpr size_t kValuesAClaim = 7;

class ClaimTask : public Task {
 public:
  explicit ClaimTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        listing_(Opened<ListingBox>(arguments[1])),
        limit_(static_cast<size_t>(arguments[2].Integer())),
        looks_(static_cast<size_t>(arguments[3].Integer())),
        read_limit_(static_cast<size_t>(arguments[4].Integer())),
        escape_(static_cast<char>(arguments[5].Integer())),
        skipped_(OpenedIfGiven<SkippedBox>(arguments[6])),
        stop_(OpenedIfGiven<StopBox>(arguments[7])),
        stopping_(DataOf(arguments.env()).stopping) {
    if (!arguments.ok()) return;
    // No listing has the items that this worker has claimed by renaming them.
    const bool are_listed = !directory_->claims_by_rename();
    listing_->course.KnowOurs(are_listed ? DataOf(arguments.env()).claims.size() : 0);
  }

  void Run() override {
    batch_ = ClaimNext(*directory_, *listing_, limit_, looks_, read_limit_, skipped_.get(),
                       {stopping_.get(), stop_.get()});
  }

  napi_value Answer(napi_env env, AddonData& data) override {
    // Flat and by position: objects with properties would cost more than the rest of this call.
    JsBuilder js(env);
    const size_t count = batch_.claims.size();
    double* values = nullptr;
    napi_value numbers = js.Numbers(kValuesABatch + count * kValuesAClaim, &values);
    if (!js.ok()) return nullptr;
    *values++ = static_cast<double>(batch_.looked);
    *values++ = static_cast<double>(batch_.spent_ns) / 1000;
    *values++ = static_cast<double>(batch_.busy);
    *values++ = static_cast<double>(batch_.delayed);
    *values++ = batch_.down ? 1 : 0;
    *values++ = (batch_.ended ? 1 : 0) + (batch_.has_more ? 1 : 0);
    napi_value names = js.Array(count);
    std::vector<AddonData::ClaimId> ids;
    ids.reserve(count);
    for (size_t at = 0; at < count && js.ok(); at++) {
      const Claim& claim = batch_.claims[at];
      js.Set(names, at, js.Bytes(claim.name));
      *values++ = static_cast<double>(ids.emplace_back(data.NewClaimId()));
      *values++ = claim.descriptor.get();
      *values++ = static_cast<double>(claim.size);
      *values++ = claim.content_length < 0 ? -1 : static_cast<double>(claim.content_offset);
      *values++ = static_cast<double>(claim.position);
      *values++ = static_cast<double>(escape_ == '\0' ? -1 : PlainTries(claim.name, escape_));
      *values++ = static_cast<double>(claim.claimed_us);
    }
    napi_value result = js.Array(5);
    js.Set(result, size_t{0}, numbers);
    js.Set(result, 1, names);
    js.Set(result, 2, js.Buffer(batch_.contents));
    if (!batch_.notes.empty()) js.Set(result, 3, Notes(js));
    if (batch_.failure) js.Set(result, 4, js.FailureObject(batch_.failure));
    if (!js.ok()) return nullptr;
    for (size_t at = 0; at < count; at++) {
      Claim& claim = batch_.claims[at];
      data.Hold(ids[at], {std::move(claim.descriptor), std::move(claim.name), directory_, batch_.holder});
    }
    return result;
  }

 private:
  napi_value Notes(JsBuilder& js) const {
    napi_value notes = js.Array(batch_.notes.size());
    size_t at = 0;
    for (const ClaimNote& note : batch_.notes) {
      napi_value object = js.Object();
      js.Set(object, "kind", js.Number(static_cast<int>(note.kind)));
      js.Set(object, "name", js.Bytes(note.name));
      js.Set(object, "type", js.Number(static_cast<int>(note.type)));
      if (note.failure) js.Set(object, "failure", js.FailureObject(note.failure));
      js.Set(notes, at++, object);
    }
    return notes;
  }

  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<Listing> listing_;
  size_t limit_;
  size_t looks_;
  size_t read_limit_;
  char escape_;  // NUL: no name counts as plain
  std::shared_ptr<Skipped> skipped_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  ClaimBatch batch_;
};

// (claims): unlocks and closes them. Neither call blocks on a file that was only read.
napi_value Release(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const JsArgument ids = arguments[0];
  AddonData& data = DataOf(env);
  const size_t count = ids.Length();
  for (size_t at = 0; at < count; at++) data.Take(ids.Element(at).Integer());
  return nullptr;
}

// (claim): its descriptor is given to other code, which may close it.
napi_value LendClaim(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const int64_t id = arguments[0].Integer();
  if (!arguments.ok()) return nullptr;
  if (ClaimedDescriptor* const claim = DataOf(env).Find(id)) claim->Lend();
  return nullptr;
}

constexpr Binding kFunctions[] = {
    {"claim", Start<ClaimTask>},
    {"claimSync", StartSync<ClaimTask>},
    {"lendClaim", LendClaim},
    {"release", Release},
};

}  // namespace

const std::span<const Binding> kClaimFunctions = kFunctions;

}  // namespace fsq
