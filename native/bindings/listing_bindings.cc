#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/clock.h"
#include "queue/directory.h"
#include "queue/listing.h"
#include "queue/skipped.h"

namespace fsq {
namespace {

class ListTask : public Task {
 public:
  explicit ListTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        place_(static_cast<Place>(arguments[1].Integer())),
        seed_(static_cast<uint32_t>(arguments[2].Integer())),
        skipped_(OpenedIfGiven<SkippedBox>(arguments[3])),
        stop_(OpenedIfGiven<StopBox>(arguments[4])),
        stopping_(DataOf(arguments.env()).stopping) {
    if (const JsArgument least = arguments[5]; !least.omitted())
      part_.least = static_cast<size_t>(std::max<int64_t>(1, least.Integer()));
    if (const auto after = OpenedIfGiven<ListingBox>(arguments[6])) part_ = after->NextPart(part_.least);
  }

  void Run() override {
    const int64_t begun = NowNs();
    if (skipped_ && part_.is_first) skipped_->BeginPass(*directory_);
    listing_ = Listing::Read(*directory_, place_, part_, {stopping_.get(), stop_.get()}, &failure_,
                             skipped_ ? &skipped_->stream : nullptr);
    if (!listing_) return;
    if (seed_ != 0) listing_->Relax(seed_);
    // A pass over no names is over: no claim follows that would end it.
    if (skipped_ && listing_->size() == 0) {
      skipped_->UnlockBusy();
      skipped_->EndPass();
    }
    listing_->spent_ns = NowNs() - begun;
  }

  napi_value Answer(napi_env env, AddonData&) override {
    if (listing_) return NewHandle<ListingBox>(env, std::move(listing_));
    return JsBuilder(env).FailureObject(failure_);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  Place place_;
  uint32_t seed_;
  std::shared_ptr<Skipped> skipped_;
  std::shared_ptr<std::atomic<bool>> stop_;
  Listing::Part part_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::shared_ptr<Listing> listing_;
  Failure failure_;
};

double SpentMicroseconds(const Listing& listing) {
  return static_cast<double>(listing.spent_ns) / 1000;
}

// (listing, positions): the names there, whose claims were released, are claimed again.
napi_value ReopenNames(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto listing = Opened<ListingBox>(arguments[0]);
  const JsArgument positions = arguments[1];
  for (size_t at = 0, count = positions.Length(); at < count && arguments.ok(); at++)
    listing->course.Reopen(static_cast<size_t>(positions.Element(at).Integer()));
  return nullptr;
}

// (listing, from, count) -> [name, type, name, type, ...]
napi_value ListingEntries(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto listing = Opened<ListingBox>(arguments[0]);
  const auto from = static_cast<size_t>(arguments[1].Integer());
  const auto count = static_cast<size_t>(arguments[2].Integer());
  if (!arguments.ok()) return nullptr;
  const size_t end = std::min(from + count, listing->size());
  JsBuilder js(env);
  napi_value entries = js.Array(from < end ? (end - from) * 2 : 0);
  for (size_t at = from, index = 0; at < end; at++) {
    const Listing::Entry entry = listing->at(at);
    js.Set(entries, index++, js.Bytes(entry.view()));
    js.Set(entries, index++, js.Number(static_cast<int>(entry.type)));
  }
  return js.Checked(entries);
}

constexpr Binding kFunctions[] = {
    {"list", Start<ListTask>},
    {"listSync", StartSync<ListTask>},
    {"closeListing", Close<ListingBox>},
    // The number of names.
    {"listingSize", NumberOf<ListingBox, &Listing::size>},
    // How long it took to read and sort, in microseconds.
    {"listingSpent", NumberOf<ListingBox, SpentMicroseconds>},
    {"reopenNames", ReopenNames},
    {"listingEntries", ListingEntries},
};

}  // namespace

const std::span<const Binding> kListingFunctions = kFunctions;

}  // namespace fsq
