#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/handle.h"
#include "bindings/runtime/js_argument.h"
#include "bindings/runtime/js_value.h"
#include "bindings/runtime/task.h"
#include "calls/fault_point.h"
#include "files/pipe_source.h"
#include "queue/enqueue.h"
#include "queue/transfer.h"

namespace fsq {
namespace {

// null: empty. A string: the path of a file. A number: a descriptor. A handle: a draft. Bytes: borrowed from
// the caller, who must not change them until the task ends.
Payload PayloadOf(const JsArgument& value) {
  Payload payload;
  const napi_valuetype type = value.type();
  if (type == napi_string) {
    payload.kind = Payload::Kind::kPath;
    payload.path = value.Text();
  } else if (type == napi_number) {
    payload.kind = Payload::Kind::kDescriptor;
    payload.descriptor = static_cast<int>(value.Integer());
  } else if (type == napi_external) {
    payload.kind = Payload::Kind::kDraft;
    payload.draft = Opened<DraftBox>(value);
  } else if (type != napi_null) {
    const std::span<char> bytes = value.Memory();
    if (!bytes.empty()) payload.kind = Payload::Kind::kBytes;
    payload.bytes = {bytes.data(), bytes.size()};
  }
  return payload;
}

// The name of an item in the queue, or {errno, ..., name?, nameBytes?, nameLimit?}. A failure with a name:
// the item is in the queue, but not durable.
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
  explicit EnqueueTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        form_(Opened<FormBox>(arguments[1])),
        stopping_(DataOf(arguments.env()).stopping),
        items_(arguments[2].Length()) {
    const JsArgument suffixes = arguments[2];
    const JsArgument payloads = arguments[3];
    for (size_t at = 0; at < items_.size(); at++) {
      items_[at].suffix = suffixes.Element(at).Bytes();
      items_[at].payload = PayloadOf(payloads.Element(at));
    }
    // Usually not passed: no item is delayed, and none can be cancelled.
    if (const JsArgument dues = arguments[4]; !dues.omitted()) {
      for (size_t at = 0; at < items_.size(); at++) items_[at].due_ms = dues.Element(at).Integer();
    }
    if (const JsArgument stops = arguments[5]; !stops.omitted()) {
      for (size_t at = 0; at < items_.size(); at++) {
        const JsArgument stop = stops.Element(at);
        if (!stop.omitted()) items_[at].unwanted = Opened<StopBox>(stop);
      }
    }
    KeepAlive(payloads);
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
    napi_value answer = js.Array(2);
    js.Set(answer, size_t{0}, results);
    js.Set(answer, 1, js.Number(spent_us()));
    return js.Checked(answer);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<const ItemForm> form_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::vector<NewItem> items_;
};

// Enqueues a draft of WriteItemTask. First: the next contents are already waiting in the lane, and the caller
// sends more when this item is in the queue.
class EnqueueWrittenTask : public EnqueueTask {
 public:
  using EnqueueTask::EnqueueTask;
  bool goes_first() const override { return true; }
};

// (queue, form, suffix, payload, due): enqueues one item synchronously. No Task, because this is the fastest
// way.
napi_value EnqueueSync(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  // The handles keep these alive: nothing else runs on this thread during the call.
  QueueDirectory* const directory = OpenedHere<QueueBox>(arguments[0]);
  const ItemForm* const form = OpenedHere<FormBox>(arguments[1]);
  NewItem item;
  item.suffix = arguments[2].Bytes();
  item.payload = PayloadOf(arguments[3]);
  item.due_ms = arguments[4].Integer();
  if (!arguments.ok()) return nullptr;
  EnqueueAll(*directory, *form, {&item, 1}, nullptr);
  JsBuilder js(env);
  return js.Checked(ResultOf(js, item));
}

// The handle of the draft that the item has as its payload, or its failure.
napi_value DraftOf(napi_env env, AddonData& data, NewItem& item) {
  if (!item.failure) {
    data.Watch(item.payload.draft);
    return NewHandle<DraftBox>(env, std::move(item.payload.draft));
  }
  JsBuilder js(env);
  return js.Checked(ResultOf(js, item));
}

// (queue, form, suffix) -> a draft, or a failure as of enqueue
class OpenDraftTask : public Task {
 public:
  explicit OpenDraftTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])), form_(Opened<FormBox>(arguments[1])) {
    item_.suffix = arguments[2].Bytes();
  }

  void Run() override { OpenDraft(directory_, *form_, item_, true); }

  napi_value Answer(napi_env env, AddonData& data) override { return DraftOf(env, data, item_); }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<const ItemForm> form_;
  NewItem item_;
};

// (queue, form, suffix, bytes, stop, lane) -> a draft of the bytes, or a failure as of enqueue. EFAULT: the
// memory of the bytes has been transferred away or detached meanwhile.
//
// The bytes are borrowed, not copied. The reference keeps their view and its buffer alive, and with them
// their memory, as long as the buffer has it. If JavaScript takes the memory away from the buffer, it can be
// freed and used again while a thread writes it. That cannot end the process: write(2) fails with EFAULT
// where no memory is. But it can write other memory. So nothing of the draft is used before Answer has seen
// that the buffer still has the memory. As memory that was taken away never comes back, the buffer then had
// it all the time. Answer runs where JavaScript does, so nothing can be taken away during the look.
class WriteItemTask : public Task {
 public:
  explicit WriteItemTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        form_(Opened<FormBox>(arguments[1])),
        stopping_(DataOf(arguments.env()).stopping),
        bytes_(arguments[3].Memory()) {
    item_.suffix = arguments[2].Bytes();
    if (const JsArgument stop = arguments[4]; !stop.omitted()) item_.unwanted = Opened<StopBox>(stop);
    KeepAlive(arguments[3]);
  }

  void Run() override {
    OpenDraft(directory_, *form_, item_, false);
    if (item_.failure) return;
    Payload payload;
    payload.kind = Payload::Kind::kBytes;
    payload.bytes = {bytes_.data(), bytes_.size()};
    Draft& draft = *item_.payload.draft;
    item_.failure = draft.file.Write(payload, {stopping_.get(), item_.unwanted.get()});
    if (item_.failure) {
      item_.payload.draft.reset();
    } else if (form_->durable) {
      draft.file.StartSync();
    }
  }

  napi_value Answer(napi_env env, AddonData& data) override {
    if (!item_.failure && !HasItsMemory(env)) {
      item_.payload.draft.reset();
      item_.failure = Failure{-EFAULT, "write"};
    }
    return DraftOf(env, data, item_);
  }

 private:
  bool HasItsMemory(napi_env env) const {
    napi_typedarray_type type = napi_int8_array;
    size_t length = 0;
    void* memory = nullptr;
    return napi_get_typedarray_info(env, KeptValue(env), &type, &length, &memory, nullptr, nullptr) ==
               napi_ok &&
           length == bytes_.size() && memory == bytes_.data();
  }

  std::shared_ptr<QueueDirectory> directory_;
  std::shared_ptr<const ItemForm> form_;
  std::shared_ptr<std::atomic<bool>> stopping_;
  std::span<char> bytes_;
  NewItem item_;
};

// The lane whose number is the last argument.
template <size_t At>
std::shared_ptr<Lane>* WriterOf(JsArguments& arguments) {
  const int64_t writer = arguments[At].Integer();
  if (writer >= 0 && writer < static_cast<int64_t>(AddonData::kWriters))
    return &DataOf(arguments.env()).writers[static_cast<size_t>(writer)];
  arguments.Refuse("no such lane");
  return nullptr;
}

// (draft, bytes) -> undefined or a failure. One call at a time per draft.
class WriteDraftTask : public Task {
 public:
  explicit WriteDraftTask(JsArguments& arguments)
      : draft_(Opened<DraftBox>(arguments[0])), piece_(arguments[1].Memory()) {
    KeepAlive(arguments[1]);
  }

  void Run() override {
    const Draft::Use use(draft_);
    failure_ = draft_->file.Append({piece_.data(), piece_.size()});
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return failure_ ? js.FailureObject(failure_) : js.Undefined();
  }

 private:
  std::shared_ptr<Draft> draft_;
  std::span<char> piece_;
  Failure failure_;
};

// (draft): discards it. In the pool, because freeing gigabytes takes time.
class DiscardDraftTask : public Task {
 public:
  explicit DiscardDraftTask(JsArguments& arguments) {
    if (DraftBox* const box = OpenBoxOf<DraftBox>(arguments[0])) draft_ = std::move(box->value);
  }

  void Run() override { draft_->Abandon(); }

  napi_value Answer(napi_env env, AddonData&) override { return JsBuilder(env).Undefined(); }

 private:
  std::shared_ptr<Draft> draft_;
};

// (descriptor, bytes) -> how many bytes were read into `bytes`, or a failure (EAGAIN: none are available yet)
class ReadPipeTask : public Task {
 public:
  explicit ReadPipeTask(JsArguments& arguments)
      : fd_(static_cast<int>(arguments[0].Integer())), buffer_(arguments[1].Memory()) {
    KeepAlive(arguments[1]);
  }

  void Run() override {
    read_ = FSQ_CALL("enqueue.read", ReadWhatIsThere(fd_, buffer_.data(), buffer_.size()));
    if (read_ == -1) failure_ = Failure{LastError(), "read", {}, {}};
  }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    return failure_ ? js.FailureObject(failure_) : js.Number(static_cast<double>(read_));
  }

 private:
  int fd_;
  std::span<char> buffer_;
  ssize_t read_ = 0;
  Failure failure_;
};

// (queue, from, to, names) -> one number for each name: 0, or a negative error number
class TransferTask : public Task {
 public:
  explicit TransferTask(JsArguments& arguments)
      : directory_(Opened<QueueBox>(arguments[0])),
        from_(static_cast<Place>(arguments[1].Integer())),
        to_(static_cast<Place>(arguments[2].Integer())),
        files_(arguments[3].Length()) {
    const JsArgument names = arguments[3];
    for (size_t at = 0; at < files_.size(); at++) files_[at].name = names.Element(at).Bytes();
  }

  void Run() override { TransferAll(*directory_, from_, to_, files_); }

  napi_value Answer(napi_env env, AddonData&) override {
    JsBuilder js(env);
    napi_value errors = js.Array(files_.size());
    for (size_t at = 0; at < files_.size(); at++) js.Set(errors, at, js.Number(files_[at].error));
    return js.Checked(errors);
  }

 private:
  std::shared_ptr<QueueDirectory> directory_;
  Place from_;
  Place to_;
  std::vector<Transfer> files_;
};

// () -> a flag that cancels one operation
napi_value NewStop(napi_env env, napi_callback_info) {
  return NewHandle<StopBox>(env, std::make_shared<std::atomic<bool>>(false));
}

// (stop): cancels the operation that uses it, which fails with ECANCELED unless it is too late.
napi_value SetStop(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  if (std::atomic<bool>* const stop = OpenedHere<StopBox>(arguments[0]))
    stop->store(true, std::memory_order_relaxed);
  return nullptr;
}

// ({delimiter, escape, timeFormat, utc, user, group, mode, durable, plainSync, exact?}) -> a handle, so that
// the properties are read only once
napi_value NewItemForm(napi_env env, napi_callback_info info) {
  JsArguments arguments(env, info);
  const JsArgument values = arguments[0];
  auto form = std::make_shared<ItemForm>();
  form->names.delimiter = static_cast<char>(values.Property("delimiter").Integer());
  form->names.escape = static_cast<char>(values.Property("escape").Integer());
  form->names.time_format = values.Property("timeFormat").Text();
  form->names.utc = values.Property("utc").Flag();
  form->user = values.Property("user").Integer();
  form->group = values.Property("group").Integer();
  form->mode = static_cast<mode_t>(values.Property("mode").Integer());
  form->durable = values.Property("durable").Flag();
  form->plain_sync = values.Property("plainSync").Flag();
  if (const JsArgument exact = values.Property("exact"); !exact.omitted()) form->exact = exact.Flag();
  return arguments.ok() ? NewHandle<FormBox>(env, std::move(form)) : nullptr;
}

// (): this process sets its umask. Called before and after.
napi_value NoteUmask(napi_env, napi_callback_info) {
  QueueDirectory::NoteUmask();
  return nullptr;
}

constexpr Binding kFunctions[] = {
    {"newItemForm", NewItemForm},
    {"enqueue", Start<EnqueueTask>},
    {"enqueueInLane", StartInLane<EnqueueTask, LaneOf<&QueueBox::enqueues>>},
    {"enqueueBulk", StartInLane<EnqueueTask, LaneOf<&QueueBox::bulks>>},
    {"enqueueInWriter", StartInLane<EnqueueWrittenTask, WriterOf<6>>},
    {"enqueueSync", EnqueueSync},
    {"noteUmask", NoteUmask},
    {"openDraft", Start<OpenDraftTask>},
    {"writeItem", StartInLane<WriteItemTask, WriterOf<5>>},
    {"writeDraft", Start<WriteDraftTask>},
    {"discardDraft", Start<DiscardDraftTask>},
    {"readPipe", Start<ReadPipeTask>},
    {"transfer", Start<TransferTask>},
    {"newStop", NewStop},
    {"setStop", SetStop},
};

}  // namespace

const std::span<const Binding> kEnqueueFunctions = kFunctions;

}  // namespace fsq
