#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../claim.h"
#include "../directory.h"
#include "../finish.h"
#include "../listing.h"
#include "../plain_name.h"
#include "bindings.h"
#include "handle.h"
#include "js_argument.h"
#include "js_value.h"
#include "task.h"

namespace fsq {
namespace {

// In the answer of a claim: of the batch, and then of each item.
constexpr size_t kValuesABatch = 6;
constexpr size_t kValuesAClaim = 6;
constexpr size_t kValuesAMove = 3;

class OpenTask : public Task {
 public:
  static std::unique_ptr<OpenTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<OpenTask>();
    task->path_ = TextOf(info[0]);
    const auto names = info[1].As<Napi::Array>();
    for (uint32_t place = 0; place < kPlaces; place++) task->layout_.names[place] = TextOf(names[place]);
    task->layout_.down = TextOf(names[uint32_t{kPlaces}]);
    task->layout_.marker = TextOf(names[uint32_t{kPlaces + 1}]);
    task->locking_ = FlagOf(info[2]);
    return info.Env().IsExceptionPending() ? nullptr : std::move(task);
  }

  void Run() override { directory_ = QueueDirectory::Open(path_, layout_, locking_, &failure_); }

  napi_value Answer(napi_env env, AddonData&) override {
    if (directory_) return NewHandle<QueueBox>(env, std::move(directory_));
    return JsBuilder(env).FailureObject(failure_);
  }

 private:
  std::string path_;
  QueueDirectory::Layout layout_;
  bool locking_ = true;
  std::shared_ptr<QueueDirectory> directory_;
  Failure failure_;
};

// What a scan that waits has skipped; left out by one that does not wait.
bool ParseSkipped(const Napi::Value& value, std::shared_ptr<Skipped>* skipped) {
  if (value.IsUndefined()) return true;
  *skipped = Opened<SkippedBox>(value);
  return *skipped != nullptr;
}

// What ends an operation before its time; left out by one that only the end of the process may end.
bool ParseStop(const Napi::Value& value, std::shared_ptr<std::atomic<bool>>* stop) {
  if (value.IsUndefined()) return true;
  *stop = Opened<StopBox>(value);
  return *stop != nullptr;
}

class ListTask : public Task {
 public:
  static std::unique_ptr<ListTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<ListTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    task->place_ = static_cast<Place>(IntegerOf(info[1]));
    task->seed_ = static_cast<uint32_t>(IntegerOf(info[2]));
    if (!task->directory_ || !ParseSkipped(info[3], &task->skipped_) || !ParseStop(info[4], &task->stop_))
      return nullptr;
    task->stopping_ = DataOf(info.Env()).stopping;
    return task;
  }

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
  Place place_ = Place::kQueue;
  uint32_t seed_ = 0;
  std::shared_ptr<Skipped> skipped_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::shared_ptr<Listing> listing_;
  Failure failure_;
};

class ClaimTask : public Task {
 public:
  static std::unique_ptr<ClaimTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<ClaimTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    task->listing_ = Opened<ListingBox>(info[1]);
    task->limit_ = static_cast<size_t>(IntegerOf(info[2]));
    task->looks_ = static_cast<size_t>(IntegerOf(info[3]));
    task->read_limit_ = static_cast<size_t>(IntegerOf(info[4]));
    task->escape_ = static_cast<char>(IntegerOf(info[5]));
    if (!task->directory_ || !task->listing_ || !ParseSkipped(info[6], &task->skipped_) ||
        !ParseStop(info[7], &task->stop_)) {
      return nullptr;
    }
    task->stopping_ = DataOf(info.Env()).stopping;
    return task;
  }

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
      data.Hold(ids[at], std::move(claim.descriptor), std::move(claim.name));
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
  std::shared_ptr<Skipped> skipped_;
  std::shared_ptr<std::atomic<bool>> stop_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  size_t limit_ = 0;
  size_t looks_ = 0;
  size_t read_limit_ = 0;
  char escape_ = '\0';  // NUL: no name is plain
  ClaimBatch batch_;
};

// (queue, moves, count, names, durable). `moves`: three numbers an item, claim, place, due time. `names`:
// what they are to be called there, where that is not what they are called; left out: none is.
class FinishTask : public Task {
 public:
  static std::unique_ptr<FinishTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<FinishTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    size_t length = 0;
    const double* const moves = NumbersOf(info[1], &length);
    if (!task->directory_ || moves == nullptr) return nullptr;
    const size_t count = std::min(static_cast<size_t>(IntegerOf(info[2])), length / kValuesAMove);
    std::vector<std::string> names(count);
    if (info[3].IsArray()) {
      const auto given = info[3].As<Napi::Array>();
      for (uint32_t at = 0; at < count; at++) {
        const Napi::Value name = given[at];
        if (!name.IsUndefined()) names[at] = BytesOf(name);
      }
    }
    task->durable_ = FlagOf(info[4]);
    if (info.Env().IsExceptionPending()) return nullptr;
    // Taken out of the table before the task runs: once it has closed a descriptor, the number may be another
    // claim's. A claim that is not there has no descriptor, and its finish fails with EBADF.
    AddonData& data = DataOf(info.Env());
    task->items_.resize(count);
    task->ids_.reserve(count);
    for (size_t at = 0; at < count; at++) {
      const double* const move = moves + at * kValuesAMove;
      auto claim = data.Take(task->ids_.emplace_back(static_cast<AddonData::ClaimId>(move[0])));
      Finish& item = task->items_[at];
      item.descriptor = std::move(claim.descriptor);
      item.to = names[at].empty() ? claim.name : std::move(names[at]);
      item.from = std::move(claim.name);
      item.to_place = static_cast<Place>(move[1]);
      item.discard = item.to_place == Place::kTmp;
      item.due_ms = static_cast<int64_t>(move[2]);
    }
    return task;
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
        data.Hold(ids_[at], std::move(item.descriptor), std::move(item.from));
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
  std::vector<Finish> items_;
  std::vector<AddonData::ClaimId> ids_;
  bool durable_ = false;
};

// (listing) -> the number of names
Napi::Value ListingSize(const Napi::CallbackInfo& info) {
  const auto listing = Opened<ListingBox>(info[0]);
  return listing ? Napi::Number::New(info.Env(), static_cast<double>(listing->size())) : Napi::Value();
}

// (listing, position): the next claim goes on there.
Napi::Value SeekListing(const Napi::CallbackInfo& info) {
  if (const auto listing = Opened<ListingBox>(info[0])) {
    listing->cursor = std::min(static_cast<size_t>(IntegerOf(info[1])), listing->size());
  }
  return info.Env().Undefined();
}

// (listing, from, count) -> [name, type, name, type, ...]
Napi::Value ListingEntries(const Napi::CallbackInfo& info) {
  const auto listing = Opened<ListingBox>(info[0]);
  if (!listing) return {};
  const auto from = static_cast<size_t>(IntegerOf(info[1]));
  const size_t end = std::min(from + static_cast<size_t>(IntegerOf(info[2])), listing->size());
  JsBuilder js(info.Env());
  napi_value entries = js.Array(from < end ? (end - from) * 2 : 0);
  for (size_t at = from, index = 0; at < end; at++) {
    const Listing::Entry entry = listing->at(at);
    js.Set(entries, index++, js.Bytes(entry.view()));
    js.Set(entries, index++, js.Number(static_cast<int>(entry.type)));
  }
  return {info.Env(), js.Checked(entries)};
}

// (queue) -> boolean, or a failure. One cheap call, so that it can be asked before each item that is handed
// out.
Napi::Value IsDownSync(const Napi::CallbackInfo& info) {
  const auto directory = Opened<QueueBox>(info[0]);
  if (!directory) return {};
  const int down = directory->IsDown();
  JsBuilder js(info.Env());
  if (down == -1) return {info.Env(), js.FailureObject(Failure{LastError(), "fstatat", "down"})};
  return {info.Env(), js.Boolean(down == 1)};
}

// (queue) -> whether its items are claimed by fcntl locks
Napi::Value UsesFcntl(const Napi::CallbackInfo& info) {
  const auto directory = Opened<QueueBox>(info[0]);
  if (!directory) return {};
  return Napi::Boolean::New(info.Env(), directory->lock_kind() == LockKind::kDescription);
}

// (queue) -> the file system that it is on
Napi::Value FileSystemOf(const Napi::CallbackInfo& info) {
  const auto directory = Opened<QueueBox>(info[0]);
  if (!directory) return {};
  return {info.Env(), JsBuilder(info.Env()).FileSystemObject(directory->file_system())};
}

// (claims): unlocks and closes them. Neither call blocks on a file that was only read.
Napi::Value Release(const Napi::CallbackInfo& info) {
  const auto ids = info[0].As<Napi::Array>();
  AddonData& data = DataOf(info.Env());
  for (uint32_t at = 0; at < ids.Length(); at++) data.Take(IntegerOf(ids[at]));
  return info.Env().Undefined();
}

constexpr Binding kFunctions[] = {
    {"openQueue", Start<OpenTask>},
    {"openQueueSync", StartSync<OpenTask>},
    {"closeQueue", Close<QueueBox>},
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

void ExportQueueFunctions(Napi::Object exports) {
  Export(exports, kFunctions);
}

}  // namespace fsq
