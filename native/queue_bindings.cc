#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "claim.h"
#include "directory.h"
#include "enqueue.h"
#include "finish.h"
#include "js_value.h"
#include "listing.h"
#include "task.h"

namespace fsq {
namespace {

// What the opaque handles of JavaScript point to. The shared pointers keep directories and listings open
// while tasks use them, whatever JavaScript closes meanwhile.
struct QueueBox {
  static constexpr napi_type_tag kTag{0x6673712d71756575, 0x652d64697265637d};
  std::shared_ptr<QueueDirectory> value;
};
struct ListingBox {
  static constexpr napi_type_tag kTag{0x6673712d6c697374, 0x696e672d6e616d65};
  std::shared_ptr<Listing> value;
};

template <typename Box>
napi_value NewHandle(napi_env env, decltype(Box::value) value) {
  auto box = std::make_unique<Box>();
  box->value = std::move(value);
  napi_value handle = nullptr;
  const auto finalize = [](napi_env, void* data, void*) { delete static_cast<Box*>(data); };
  if (napi_create_external(env, box.get(), finalize, nullptr, &handle) != napi_ok) return nullptr;
  box.release();  // the finalizer owns it
  return napi_type_tag_object(env, handle, &Box::kTag) == napi_ok ? handle : nullptr;
}

template <typename Box>
Box* BoxOf(const Napi::Value& handle) {
  void* data = nullptr;
  bool ours = false;
  if (handle.IsExternal() && napi_check_object_type_tag(handle.Env(), handle, &Box::kTag, &ours) == napi_ok &&
      ours && napi_get_value_external(handle.Env(), handle, &data) == napi_ok) {
    return static_cast<Box*>(data);
  }
  Napi::TypeError::New(handle.Env(), "not a handle of this addon").ThrowAsJavaScriptException();
  return nullptr;
}

// The object behind a handle that is still open; throws otherwise.
template <typename Box>
decltype(Box::value) Opened(const Napi::Value& handle) {
  Box* const box = BoxOf<Box>(handle);
  if (box != nullptr && !box->value) {
    Napi::Error::New(handle.Env(), "the handle is closed").ThrowAsJavaScriptException();
  }
  return box == nullptr ? nullptr : box->value;
}

// Names come as strings of one character a byte (see JsBuilder::Bytes).
std::string BytesOf(const Napi::Value& value) {
  size_t length = 0;
  if (napi_get_value_string_latin1(value.Env(), value, nullptr, 0, &length) != napi_ok) {
    Napi::TypeError::New(value.Env(), "expected a string of bytes").ThrowAsJavaScriptException();
    return {};
  }
  std::string bytes(length, '\0');
  napi_get_value_string_latin1(value.Env(), value, bytes.data(), length + 1, &length);
  return bytes;
}

std::string TextOf(const Napi::Value& value) {
  return value.As<Napi::String>().Utf8Value();
}
int64_t IntegerOf(const Napi::Value& value) {
  return value.As<Napi::Number>().Int64Value();
}
bool FlagOf(const Napi::Value& value) {
  return value.As<Napi::Boolean>().Value();
}

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

class ListTask : public Task {
 public:
  static std::unique_ptr<ListTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<ListTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    task->place_ = static_cast<Place>(IntegerOf(info[1]));
    return task->directory_ ? std::move(task) : nullptr;
  }

  void Run() override { listing_ = Listing::Read(*directory_, place_, &failure_); }

  napi_value Answer(napi_env env, AddonData&) override {
    if (listing_) return NewHandle<ListingBox>(env, std::move(listing_));
    return JsBuilder(env).FailureObject(failure_);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  Place place_ = Place::kQueue;
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
    task->read_limit_ = static_cast<size_t>(IntegerOf(info[3]));
    return task->directory_ && task->listing_ ? std::move(task) : nullptr;
  }

  void Run() override { batch_ = ClaimNext(*directory_, *listing_, limit_, read_limit_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    napi_value result = js.Object();
    // Flat, five values a claim: objects cost more than all the rest of this call.
    napi_value claims = js.Array(batch_.claims.size() * 5);
    size_t at = 0;
    for (const Claim& claim : batch_.claims) {
      js.Set(claims, at++, js.Bytes(claim.name));
      js.Set(claims, at++, js.Number(claim.descriptor.get()));
      js.Set(claims, at++, js.Number(static_cast<double>(claim.size)));
      js.Set(claims, at++,
             js.Number(claim.content_length < 0 ? -1 : static_cast<double>(claim.content_offset)));
      js.Set(claims, at++, js.Number(static_cast<double>(claim.position)));
    }
    js.Set(result, "claims", claims);
    js.Set(result, "contents", js.Buffer(batch_.contents));
    js.Set(result, "notes", Notes(js));
    js.Set(result, "busy", js.Number(static_cast<double>(batch_.busy)));
    js.Set(result, "delayed", js.Number(static_cast<double>(batch_.delayed)));
    js.Set(result, "nextDue", js.Number(static_cast<double>(batch_.next_due_ms)));
    js.Set(result, "down", js.Boolean(batch_.down));
    js.Set(result, "ended", js.Boolean(batch_.ended));
    if (batch_.failure) js.Set(result, "failure", js.FailureObject(batch_.failure));
    if (!js.ok()) return nullptr;
    for (Claim& claim : batch_.claims)
      data.claims.insert_or_assign(claim.descriptor.get(), std::move(claim.descriptor));
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
  size_t limit_ = 0;
  size_t read_limit_ = 0;
  ClaimBatch batch_;
};

class FinishTask : public Task {
 public:
  static std::unique_ptr<FinishTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<FinishTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    if (!task->directory_) return nullptr;
    const auto descriptors = info[1].As<Napi::Array>();
    const auto from = info[2].As<Napi::Array>();
    const auto places = info[3].As<Napi::Array>();
    const auto to = info[4].As<Napi::Array>();
    const auto due = info[5].As<Napi::Array>();
    AddonData& data = DataOf(info.Env());
    task->items_.resize(descriptors.Length());
    for (uint32_t at = 0; at < descriptors.Length(); at++) {
      Finish& item = task->items_[at];
      item.from = BytesOf(from[at]);
      item.to = BytesOf(to[at]);
      const int64_t place = IntegerOf(places[at]);
      item.discard = place == static_cast<int64_t>(Place::kTmp);
      item.to_place = static_cast<Place>(place);
      item.due_ms = IntegerOf(due[at]);
    }
    task->durable_ = FlagOf(info[6]);
    if (info.Env().IsExceptionPending()) return nullptr;
    // Taken out of the table before the task runs: once it has closed a descriptor, the number may be another
    // claim's.
    for (uint32_t at = 0; at < descriptors.Length(); at++) {
      const auto held = data.claims.find(static_cast<int>(IntegerOf(descriptors[at])));
      if (held == data.claims.end()) continue;  // CheckOurs finds no descriptor: EBADF
      task->items_[at].descriptor = std::move(held->second);
      data.claims.erase(held);
    }
    return task;
  }

  void Run() override { FinishAll(*directory_, items_, durable_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    JsBuilder js(env);
    napi_value results = js.Array(items_.size());
    for (size_t at = 0; at < items_.size(); at++) {
      const Finish& item = items_[at];
      js.Set(results, at, ResultOf(js, item));
    }
    // An item that could not be moved stays claimed.
    for (Finish& item : items_) {
      if (item.descriptor.valid()) {
        data.claims.insert_or_assign(item.descriptor.get(), std::move(item.descriptor));
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
  bool durable_ = false;
};

class EnqueueTask : public Task {
 public:
  static std::unique_ptr<EnqueueTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<EnqueueTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    if (!task->directory_) return nullptr;
    const auto form = info[1].As<Napi::Object>();
    task->template_.delimiter = static_cast<char>(IntegerOf(form["delimiter"]));
    task->template_.escape = static_cast<char>(IntegerOf(form["escape"]));
    task->template_.time_format = TextOf(form["timeFormat"]);
    task->template_.utc = FlagOf(form["utc"]);
    task->attributes_.user = IntegerOf(form["user"]);
    task->attributes_.group = IntegerOf(form["group"]);
    task->attributes_.mode = static_cast<mode_t>(IntegerOf(form["mode"]));
    task->attributes_.durable = FlagOf(form["durable"]);
    task->stopping_ = DataOf(info.Env()).stopping;
    task->attributes_.stopping = task->stopping_.get();
    const auto suffixes = info[2].As<Napi::Array>();
    const auto payloads = info[3].As<Napi::Array>();
    const auto due = info[4].As<Napi::Array>();
    task->items_.resize(suffixes.Length());
    for (uint32_t at = 0; at < suffixes.Length(); at++) {
      NewItem& item = task->items_[at];
      item.suffix = BytesOf(suffixes[at]);
      item.payload = PayloadOf(payloads[at]);
      item.due_ms = IntegerOf(due[at]);
    }
    if (info.Env().IsExceptionPending()) return nullptr;
    task->KeepAlive(payloads);
    return task;
  }

  void Run() override { EnqueueAll(*directory_, template_, attributes_, items_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    napi_value results = js.Array(items_.size());
    for (size_t at = 0; at < items_.size(); at++) js.Set(results, at, ResultOf(js, items_[at]));
    return js.Checked(results);
  }

 private:
  // The name of an item that is in the queue, or {errno, ..., name?: it is in the queue, but not durably,
  // nameBytes?}.
  static napi_value ResultOf(JsBuilder& js, const NewItem& item) {
    if (!item.failure) return js.Bytes(item.name);
    napi_value result = js.FailureObject(item.failure);
    if (item.linked) js.Set(result, "name", js.Bytes(item.name));
    if (item.name_bytes > 0) {
      js.Set(result, "nameBytes", js.Number(static_cast<double>(item.name_bytes)));
      js.Set(result, "nameLimit", js.Number(static_cast<double>(item.name_limit)));
    }
    return result;
  }

  // Nothing: empty. A string: the path of a file. Bytes: lent by the caller, who must not change them
  // meanwhile.
  static Payload PayloadOf(const Napi::Value& value) {
    Payload payload;
    if (value.IsString()) {
      payload.kind = Payload::Kind::kPath;
      payload.path = value.As<Napi::String>().Utf8Value();
    } else if (value.IsTypedArray()) {
      const auto bytes = value.As<Napi::Uint8Array>();
      payload.kind = bytes.ByteLength() == 0 ? Payload::Kind::kEmpty : Payload::Kind::kBytes;
      payload.bytes = {reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength()};
    }
    return payload;
  }

  std::shared_ptr<QueueDirectory> directory_;
  NameTemplate template_;
  ItemAttributes attributes_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::vector<NewItem> items_;
};

template <typename Box>
Napi::Value Close(const Napi::CallbackInfo& info) {
  if (Box* const box = BoxOf<Box>(info[0])) box->value.reset();
  return info.Env().Undefined();
}

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

// (descriptors): unlocks and closes claims. Neither call blocks on a file that was only read.
Napi::Value Release(const Napi::CallbackInfo& info) {
  const auto descriptors = info[0].As<Napi::Array>();
  AddonData& data = DataOf(info.Env());
  for (uint32_t at = 0; at < descriptors.Length(); at++) {
    data.claims.erase(static_cast<int>(IntegerOf(descriptors[at])));
  }
  return info.Env().Undefined();
}

}  // namespace

void ExportQueueFunctions(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("openQueue", Start<OpenTask>);
  add("openQueueSync", StartSync<OpenTask>);
  add("closeQueue", Close<QueueBox>);
  add("list", Start<ListTask>);
  add("closeListing", Close<ListingBox>);
  add("listingSize", ListingSize);
  add("seekListing", SeekListing);
  add("listingEntries", ListingEntries);
  add("isDownSync", IsDownSync);
  add("claim", Start<ClaimTask>);
  add("finish", Start<FinishTask>);
  add("release", Release);
  add("enqueue", Start<EnqueueTask>);
  add("enqueueSync", StartSync<EnqueueTask>);
}

}  // namespace fsq
