#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../enqueue.h"
#include "../fault_point.h"
#include "../pipe_source.h"
#include "bindings.h"
#include "handle.h"
#include "js_argument.h"
#include "js_value.h"
#include "task.h"

namespace fsq {
namespace {

// Nothing: empty. A string: the path of a file. A number: a descriptor. A handle: a draft. Bytes: lent by the
// caller, who must not change them meanwhile.
Payload PayloadOf(const Napi::Value& value) {
  Payload payload;
  napi_env env = value.Env();
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  if (type == napi_string) {
    payload.kind = Payload::Kind::kPath;
    payload.path = TextOf(value);
    return payload;
  }
  if (type == napi_number) {
    payload.kind = Payload::Kind::kDescriptor;
    payload.descriptor = static_cast<int>(IntegerOf(value));
    return payload;
  }
  if (type == napi_external) {
    payload.kind = Payload::Kind::kDraft;
    payload.draft = Opened<DraftBox>(value);
    return payload;
  }
  void* data = nullptr;
  size_t length = 0;
  if (type == napi_object &&
      napi_get_typedarray_info(env, value, nullptr, &length, &data, nullptr, nullptr) == napi_ok &&
      length > 0) {
    payload.kind = Payload::Kind::kBytes;
    payload.bytes = {static_cast<const char*>(data), length};
  }
  return payload;
}

NewItem ItemOf(const Napi::Value& suffix, const Napi::Value& payload, const Napi::Value& due) {
  NewItem item;
  item.suffix = BytesOf(suffix);
  item.payload = PayloadOf(payload);
  item.due_ms = IntegerOf(due);
  return item;
}

// The name of an item that is in the queue, or {errno, ..., name?: it is in the queue, but not durably,
// nameBytes?}.
napi_value ResultOf(JsBuilder& js, const NewItem& item) {
  if (!item.failure) return js.Bytes(item.name);
  napi_value result = js.FailureObject(item.failure);
  if (item.linked) js.Set(result, "name", js.Bytes(item.name));
  if (item.name_bytes > 0) {
    js.Set(result, "nameBytes", js.Number(static_cast<double>(item.name_bytes)));
    js.Set(result, "nameLimit", js.Number(static_cast<double>(item.name_limit)));
  }
  return result;
}

class EnqueueTask : public Task {
 public:
  static std::unique_ptr<EnqueueTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<EnqueueTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    task->form_ = Opened<FormBox>(info[1]);
    if (!task->directory_ || !task->form_) return nullptr;
    task->stopping_ = DataOf(info.Env()).stopping;
    const auto suffixes = info[2].As<Napi::Array>();
    const auto payloads = info[3].As<Napi::Array>();
    // Left out where no item is delayed, and where none can be stopped, which is the rule.
    const bool delayed = info[4].IsArray();
    const auto due = info[4].As<Napi::Array>();
    const uint32_t count = suffixes.Length();
    task->items_.reserve(count);
    for (uint32_t at = 0; at < count; at++)
      task->items_.push_back(ItemOf(suffixes[at], payloads[at], delayed ? due[at] : Napi::Value()));
    if (info[5].IsArray()) {
      const auto stops = info[5].As<Napi::Array>();
      for (uint32_t at = 0; at < count; at++) {
        const Napi::Value stop = stops[at];
        if (!stop.IsUndefined()) task->items_[at].unwanted = Opened<StopBox>(stop);
      }
    }
    if (info.Env().IsExceptionPending()) return nullptr;
    task->KeepAlive(payloads);
    return task;
  }

  void Run() override {
    std::vector<Draft::Use> uses;
    for (const NewItem& item : items_) {
      if (item.payload.draft) uses.emplace_back(item.payload.draft);
    }
    EnqueueAll(*directory_, *form_, items_, stopping_.get());
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    napi_value results = js.Array(items_.size());
    for (size_t at = 0; at < items_.size(); at++) js.Set(results, at, ResultOf(js, items_[at]));
    return js.Checked(results);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<const ItemForm> form_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::vector<NewItem> items_;
};

// (queue, form, suffix, payload, due): one item, here and now. Without a task: the fastest way that there is.
Napi::Value EnqueueSync(const Napi::CallbackInfo& info) {
  // The handles keep them open: nothing else runs on this thread meanwhile.
  QueueDirectory* const directory = OpenedHere<QueueBox>(info[0]);
  if (directory == nullptr) return {};
  const ItemForm* const form = OpenedHere<FormBox>(info[1]);
  if (form == nullptr) return {};
  NewItem item = ItemOf(info[2], info[3], info[4]);
  if (info.Env().IsExceptionPending()) return {};
  EnqueueAll(*directory, *form, {&item, 1}, nullptr);
  JsBuilder js(info.Env());
  return {info.Env(), js.Checked(ResultOf(js, item))};
}

// (queue, form, suffix) -> a draft, or as the failures of enqueue
class OpenDraftTask : public Task {
 public:
  static std::unique_ptr<OpenDraftTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<OpenDraftTask>();
    task->directory_ = Opened<QueueBox>(info[0]);
    task->form_ = Opened<FormBox>(info[1]);
    if (!task->directory_ || !task->form_) return nullptr;
    task->item_.suffix = BytesOf(info[2]);
    return info.Env().IsExceptionPending() ? nullptr : std::move(task);
  }

  void Run() override { OpenDraft(directory_, *form_, item_); }

  napi_value Answer(napi_env env, AddonData& data) override {
    if (!item_.failure) {
      data.Watch(item_.payload.draft);
      return NewHandle<DraftBox>(env, std::move(item_.payload.draft));
    }
    JsBuilder js(env);
    return js.Checked(ResultOf(js, item_));
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<const ItemForm> form_;
  NewItem item_;
};

// (draft, bytes) -> undefined or a failure. One call at a time for a draft.
class WriteDraftTask : public Task {
 public:
  static std::unique_ptr<WriteDraftTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<WriteDraftTask>();
    task->draft_ = Opened<DraftBox>(info[0]);
    if (!task->draft_) return nullptr;
    task->payload_ = PayloadOf(info[1]);
    if (info.Env().IsExceptionPending()) return nullptr;
    task->KeepAlive(info[1]);
    return task;
  }

  void Run() override {
    const Draft::Use use(draft_);
    failure_ = draft_->file.Write(payload_, {});
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return failure_ ? js.FailureObject(failure_) : js.Undefined();
  }

 private:
  std::shared_ptr<Draft> draft_;
  Payload payload_;
  Failure failure_;
};

// (draft): nothing of it stays. In the pool, as giving back gigabytes takes its time.
class DiscardDraftTask : public Task {
 public:
  static std::unique_ptr<DiscardDraftTask> Parse(const Napi::CallbackInfo& info) {
    DraftBox* const box = BoxOf<DraftBox>(info[0]);
    if (box == nullptr) return nullptr;
    auto task = std::make_unique<DiscardDraftTask>();
    task->draft_ = std::move(box->value);
    return task;
  }

  void Run() override { draft_->Abandon(); }

  napi_value Answer(napi_env env, AddonData&) override { return JsBuilder(env).Undefined(); }

 private:
  std::shared_ptr<Draft> draft_;
};

// (descriptor, bytes) -> how many bytes were read into them, or a failure (EAGAIN: nothing is there yet)
class ReadPipeTask : public Task {
 public:
  static std::unique_ptr<ReadPipeTask> Parse(const Napi::CallbackInfo& info) {
    auto task = std::make_unique<ReadPipeTask>();
    task->fd_ = static_cast<int>(IntegerOf(info[0]));
    void* data = nullptr;
    const Napi::Value bytes = info[1];
    if (napi_get_typedarray_info(info.Env(), bytes, nullptr, &task->size_, &data, nullptr, nullptr) !=
            napi_ok ||
        info.Env().IsExceptionPending()) {
      return nullptr;
    }
    task->buffer_ = static_cast<char*>(data);
    task->KeepAlive(bytes);
    return task;
  }

  void Run() override {
    read_ = RetryInterrupted([&] { return FSQ_CALL("enqueue.read", ReadWhatIsThere(fd_, buffer_, size_)); });
    if (read_ == -1) failure_ = Failure{LastError(), "read", {}, {}};
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return failure_ ? js.FailureObject(failure_) : js.Number(static_cast<double>(read_));
  }

 private:
  int fd_ = -1;
  char* buffer_ = nullptr;
  size_t size_ = 0;
  ssize_t read_ = 0;
  Failure failure_;
};

// () -> what stops one operation
Napi::Value NewStop(const Napi::CallbackInfo& info) {
  return {info.Env(), NewHandle<StopBox>(info.Env(), std::make_shared<std::atomic<bool>>(false))};
}

// (stop): the operation that has it ends with ECANCELED, if it is not too late for that.
Napi::Value SetStop(const Napi::CallbackInfo& info) {
  if (const auto stop = Opened<StopBox>(info[0])) stop->store(true, std::memory_order_relaxed);
  return info.Env().Undefined();
}

// ({delimiter, escape, timeFormat, utc, user, group, mode, durable, plainSync}) -> a handle, so that it is
// read once
Napi::Value NewItemForm(const Napi::CallbackInfo& info) {
  const auto values = info[0].As<Napi::Object>();
  auto form = std::make_shared<ItemForm>();
  form->delimiter = static_cast<char>(IntegerOf(values.Get("delimiter")));
  form->escape = static_cast<char>(IntegerOf(values.Get("escape")));
  form->time_format = TextOf(values.Get("timeFormat"));
  form->utc = FlagOf(values.Get("utc"));
  form->user = IntegerOf(values.Get("user"));
  form->group = IntegerOf(values.Get("group"));
  form->mode = static_cast<mode_t>(IntegerOf(values.Get("mode")));
  form->durable = FlagOf(values.Get("durable"));
  form->plain_sync = FlagOf(values.Get("plainSync"));
  if (info.Env().IsExceptionPending()) return {};
  return {info.Env(), NewHandle<FormBox>(info.Env(), std::move(form))};
}

constexpr Binding kFunctions[] = {
    {"newItemForm", NewItemForm},
    {"enqueue", Start<EnqueueTask>},
    {"enqueueInLane", StartInLane<EnqueueTask, LaneOf<&QueueBox::enqueues>>},
    {"enqueueBulk", StartInLane<EnqueueTask, LaneOf<&QueueBox::bulks>>},
    {"enqueueSync", EnqueueSync},
    {"openDraft", Start<OpenDraftTask>},
    {"writeDraft", Start<WriteDraftTask>},
    {"discardDraft", Start<DiscardDraftTask>},
    {"readPipe", Start<ReadPipeTask>},
    {"newStop", NewStop},
    {"setStop", SetStop},
};

}  // namespace

void ExportEnqueueFunctions(Napi::Object exports) {
  Export(exports, kFunctions);
}

}  // namespace fsq
