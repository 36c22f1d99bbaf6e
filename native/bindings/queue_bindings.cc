#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "names/plain_name.h"
#include "queue/claim.h"
#include "queue/directory.h"
#include "queue/finish.h"
#include "queue/listing.h"

namespace fsq {
namespace {

// In the answer of a claim: of the batch, and then of each item.
constexpr size_t kValuesABatch = 6;
constexpr size_t kValuesAClaim = 6;
constexpr size_t kValuesAMove = 3;

class OpenTask : public Task {
 public:
  explicit OpenTask(JsArguments& arguments) : path_(arguments[0].Text()), locking_(arguments[2].Flag()) {
    const JsArgument names = arguments[1];
    for (size_t place = 0; place < kPlaces; place++) layout_.names[place] = names.Element(place).Text();
    layout_.down = names.Element(kPlaces).Text();
    layout_.marker = names.Element(kPlaces + 1).Text();
  }

  void Run() override { directory_ = QueueDirectory::Open(path_, layout_, locking_, &failure_); }

  napi_value Answer(napi_env env, AddonData&) override {
    if (directory_) return NewHandle<QueueBox>(env, std::move(directory_));
    return JsBuilder(env).FailureObject(failure_);
  }

 private:
  std::string path_;
  bool locking_;
  QueueDirectory::Layout layout_;
  std::shared_ptr<QueueDirectory> directory_;
  Failure failure_;
};

// What a scan that waits has skipped; left out by one that does not wait.
std::shared_ptr<Skipped> SkippedOf(const JsArgument& skipped) {
  return skipped.left_out() ? nullptr : Opened<SkippedBox>(skipped);
}

// What ends an operation before its time; left out by one that only the end of the process ends.
std::shared_ptr<std::atomic<bool>> StopOf(const JsArgument& stop) {
  return stop.left_out() ? nullptr : Opened<StopBox>(stop);
}

class ListTask : public Task {
 public:
  explicit ListTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        place_(static_cast<Place>(arguments[1].Integer())),
        seed_(static_cast<uint32_t>(arguments[2].Integer())),
        skipped_(SkippedOf(arguments[3])),
        stop_(StopOf(arguments[4])),
        stopping_(DataOf(arguments.env()).stopping) {}

  void Run() override {
    if (skipped_) skipped_->BeginWalk(*directory_);
    listing_ = Listing::Read(*directory_, place_, {stopping_.get(), stop_.get()}, &failure_,
                             skipped_ ? &skipped_->stream : nullptr);
    if (listing_ && seed_ != 0) listing_->Relax(seed_);
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
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::shared_ptr<Listing> listing_;
  Failure failure_;
};

class ClaimTask : public Task {
 public:
  explicit ClaimTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        listing_(Opened<ListingBox>(arguments[1])),
        limit_(static_cast<size_t>(arguments[2].Integer())),
        looks_(static_cast<size_t>(arguments[3].Integer())),
        read_limit_(static_cast<size_t>(arguments[4].Integer())),
        escape_(static_cast<char>(arguments[5].Integer())),
        skipped_(SkippedOf(arguments[6])),
        stop_(StopOf(arguments[7])),
        stopping_(DataOf(arguments.env()).stopping) {}

  void Run() override {
    batch_ = ClaimNext(*directory_, *listing_, limit_, looks_, read_limit_, skipped_.get(),
                       {stopping_.get(), stop_.get()});
  }

  napi_value Answer(napi_env env, AddonData& data) override {
    // Flat, and by position: objects and their properties cost more than all the rest of this call.
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
    *values++ = batch_.ended ? 1 : 0;
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
      data.Hold(ids[at], {std::move(claim.descriptor), std::move(claim.name), directory_});
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
  char escape_;  // NUL: no name is plain
  std::shared_ptr<Skipped> skipped_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  ClaimBatch batch_;
};

// (queue, moves, count, names, durable). `moves`: three numbers an item, claim, place, due time. `names`:
// what they are to be called there, where that is not what they are called; left out: none is.
class FinishTask : public Task {
 public:
  explicit FinishTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])), durable_(arguments[4].Flag()) {
    const std::span<const double> moves = arguments[1].Numbers();
    const size_t count = std::min(static_cast<size_t>(arguments[2].Integer()), moves.size() / kValuesAMove);
    std::vector<std::string> names(count);
    if (const JsArgument given = arguments[3]; !given.left_out()) {
      for (size_t at = 0; at < count; at++) {
        const JsArgument name = given.Element(at);
        if (!name.left_out()) names[at] = name.Bytes();
      }
    }
    if (!arguments.ok()) return;
    // Taken out of the table before the task runs: once it has closed a descriptor, the number may be another
    // claim's. A claim that is not there has no descriptor, and its finish fails with EBADF.
    AddonData& data = DataOf(arguments.env());
    items_.resize(count);
    ids_.reserve(count);
    for (size_t at = 0; at < count; at++) {
      const std::span<const double> move = moves.subspan(at * kValuesAMove, kValuesAMove);
      auto claim = data.Take(ids_.emplace_back(static_cast<AddonData::ClaimId>(move[0])));
      Finish& item = items_[at];
      item.descriptor = std::move(claim.descriptor);
      item.to = names[at].empty() ? claim.name : std::move(names[at]);
      item.from = std::move(claim.name);
      item.to_place = static_cast<Place>(move[1]);
      item.discard = item.to_place == Place::kTmp;
      item.due_ms = static_cast<int64_t>(move[2]);
    }
  }

  void Run() override { FinishAll(*directory_, items_, durable_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    const bool plain = std::none_of(items_.begin(), items_.end(),
                                    [](const Finish& item) { return item.failure || item.undelayed; });
    if (plain) return js.Undefined();
    napi_value results = js.Array(items_.size());
    for (size_t at = 0; at < items_.size(); at++) js.Set(results, at, ResultOf(js, items_[at]));
    // An item that could not be moved stays claimed.
    for (size_t at = 0; at < items_.size(); at++) {
      Finish& item = items_[at];
      if (item.descriptor.IsIntact()) {
        data.Hold(ids_[at], {std::move(item.descriptor), std::move(item.from), directory_});
      } else {
        // Somebody has closed it, and its number may be that of another claim.
        item.descriptor.Forget();
      }
    }
    return js.Checked(results);
  }

 private:
  // Nothing: all went well. Otherwise {errno (0: only undelayed), ..., moved, undelayed}.
  static napi_value ResultOf(JsBuilder& js, const Finish& item) {
    if (!item.failure && !item.undelayed) return js.Undefined();
    napi_value result = js.FailureObject(item.failure);
    js.Set(result, "moved", js.Boolean(item.moved));
    js.Set(result, "undelayed", js.Boolean(item.undelayed));
    return result;
  }

  std::shared_ptr<QueueDirectory> directory_;
  bool durable_;
  std::vector<Finish> items_;
  std::vector<AddonData::ClaimId> ids_;
};

// (listing) -> the number of names
napi_value ListingSize(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto listing = Opened<ListingBox>(arguments[0]);
  return listing ? JsBuilder(env).Number(static_cast<double>(listing->size())) : nullptr;
}

// (listing, position): the next claim goes on there.
napi_value SeekListing(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto listing = Opened<ListingBox>(arguments[0]);
  const auto position = static_cast<size_t>(arguments[1].Integer());
  if (arguments.ok()) listing->cursor = std::min(position, listing->size());
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

// (queue) -> boolean, or a failure. One cheap call, so that it can be asked before each item that is handed
// out.
napi_value IsDownSync(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  if (!directory) return nullptr;
  const int down = directory->IsDown();
  JsBuilder js(env);
  if (down == -1) return js.FailureObject(Failure{LastError(), "fstatat", "down"});
  return js.Boolean(down == 1);
}

// (queue): closed when the last of its claims is.
napi_value RetireQueue(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  QueueBox* const box = BoxOf<QueueBox>(arguments[0]);
  if (box != nullptr && box->value) box->retired = std::exchange(box->value, nullptr);
  return nullptr;
}

// (queue) -> whether its items are claimed by fcntl locks
napi_value UsesFcntl(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  if (!directory) return nullptr;
  return JsBuilder(env).Boolean(directory->lock_kind() == LockKind::kDescription);
}

// (queue) -> the file system that it is on
napi_value FileSystemOf(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const auto directory = Opened<QueueBox>(arguments[0]);
  return directory ? JsBuilder(env).FileSystemObject(directory->file_system()) : nullptr;
}

// (claims): unlocks and closes them. Neither call blocks on a file that was only read.
napi_value Release(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const JsArgument ids = arguments[0];
  AddonData& data = DataOf(env);
  const size_t count = ids.Length();
  for (size_t at = 0; at < count; at++) data.Take(ids.Element(at).Integer());
  return nullptr;
}

constexpr Binding kFunctions[] = {
    {"openQueue", Start<OpenTask>},
    {"openQueueSync", StartSync<OpenTask>},
    {"closeQueue", Close<QueueBox>},
    {"retireQueue", RetireQueue},
    {"usesFcntl", UsesFcntl},
    {"fileSystemOf", FileSystemOf},
    {"list", Start<ListTask>},
    {"listSync", StartSync<ListTask>},
    {"closeListing", Close<ListingBox>},
    {"listingSize", ListingSize},
    {"seekListing", SeekListing},
    {"listingEntries", ListingEntries},
    {"isDownSync", IsDownSync},
    {"claim", Start<ClaimTask>},
    {"claimSync", StartSync<ClaimTask>},
    {"finish", StartInLane<FinishTask, LaneOf<&QueueBox::finishes>>},
    {"release", Release},
};

}  // namespace

const std::span<const Binding> kQueueFunctions = kFunctions;

}  // namespace fsq
