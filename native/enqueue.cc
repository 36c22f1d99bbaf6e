#include "enqueue.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "fault_point.h"
#include "time_text.h"

namespace fsq {
namespace {

// Descriptors that one group holds open between writing and linking.
constexpr size_t kGroup = 64;
// Collisions before we give up: with doubling jumps, far more names than any queue can hold.
constexpr int kMaxCollisions = 64;
constexpr uint64_t kMaxJump = uint64_t{1} << 20;

// One for the process: all threads, and all copies of the JavaScript layer that share this binary.
std::atomic<uint64_t> next_entropy{0};

uint64_t TakeEntropy() {
  return next_entropy.fetch_add(1, std::memory_order_relaxed);
}

// Past a stretch of taken names: stepping by one is quadratic when another producer wrote them with the same
// pid and host.
uint64_t JumpEntropy(int collisions) {
  const uint64_t step = std::min(uint64_t{1} << std::min(collisions, 62), kMaxJump);
  uint64_t noise =
      static_cast<uint64_t>(Now().microseconds) + static_cast<uint64_t>(::getpid()) * 0x9E3779B97F4A7C15u;
  noise ^= noise >> 29;
  const uint64_t jump = step + noise % (step + 1);
  return next_entropy.fetch_add(jump + 1, std::memory_order_relaxed) + jump;
}

// Delimiter, escape and '/' as "%xx", NUL cannot occur: FormatTime makes none.
void AppendEncoded(std::string* name, const std::string& field, const ItemForm& form) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char byte : field) {
    if (byte != form.delimiter && byte != form.escape && byte != '/') {
      name->push_back(byte);
      continue;
    }
    const auto value = static_cast<unsigned char>(byte);
    name->push_back(form.escape);
    name->push_back(kHex[value >> 4]);
    name->push_back(kHex[value & 15]);
  }
}

class Batch {
 public:
  Batch(QueueDirectory& directory, const ItemForm& form, const std::atomic<bool>* stopping)
      : directory_(directory),
        form_(form),
        stopping_(stopping),
        write_out_(form.durable && !form.plain_sync && directory.WritesOut()) {}

  void Run(std::vector<NewItem>& items);
  Failure Open(NewItem& item, ItemFile* file);

 private:
  struct Building {
    NewItem* item;
    uint64_t entropy;
    ItemFile file;
  };

  std::string NameOf(const NewItem& item, uint64_t entropy);
  bool FitsOrFails(NewItem& item, const std::string& name) const;
  bool IsCurrent(NewItem& item);
  bool GoesStraight(const NewItem& item) const;
  bool IsUnwanted(NewItem& item) const;
  Failure OpenFile(Building& building, platform::LinkWay way, std::string name);
  Failure Build(Building& building, platform::LinkWay way, const std::string& name);
  Failure Prepare(Building& building, const std::string& name);
  void EnqueueEmpty(NewItem& item, uint64_t entropy);
  void Link(Building& building);
  bool Rebuild(Building& building, const std::string& name);
  void LinkGroup(std::vector<Building>& group);
  void SyncQueue(std::vector<NewItem>& items) const;

  QueueDirectory& directory_;
  const ItemForm& form_;
  const std::atomic<bool>* const stopping_;
  const bool write_out_;
  std::string time_text_;
  int64_t time_second_ = INT64_MIN;
  bool checked_ = false;
};

std::string Batch::NameOf(const NewItem& item, uint64_t entropy) {
  const Instant now = Now();
  // A second has many items; only %f tells them apart.
  if (now.seconds != time_second_ || form_.time_format.find("%f") != std::string::npos) {
    time_second_ = now.seconds;
    time_text_.clear();
    AppendEncoded(&time_text_, FormatTime(form_.time_format, now, form_.utc), form_);
  }
  std::string digits;
  AppendEncoded(&digits, std::to_string(entropy), form_);
  std::string name;
  name.reserve(2 + time_text_.size() + digits.size() + item.suffix.size());
  name.append(1, form_.delimiter).append(time_text_).append(1, form_.delimiter).append(digits);
  name.append(item.suffix);
  return name;
}

bool Batch::FitsOrFails(NewItem& item, const std::string& name) const {
  if (name.size() <= directory_.name_max()) return true;
  item.name_bytes = name.size();
  item.name_limit = directory_.name_max();
  item.failure = Failure{-ENAMETOOLONG, "linkat", directory_.PathOf(Place::kQueue, name), {}};
  return false;
}

// Once a batch, before its first link: the path must still name the directory that is open.
bool Batch::IsCurrent(NewItem& item) {
  if (checked_) return true;
  if (directory_.CheckCurrent() == -1) {
    item.failure = Failure{LastError(), "stat", directory_.NameOf(Place::kQueue)};
    return false;
  }
  checked_ = true;
  return true;
}

// Asked before it is begun, and once more right before it becomes visible.
bool Batch::IsUnwanted(NewItem& item) const {
  if (!Stopping{nullptr, item.unwanted.get()}.requested()) return false;
  item.failure = Failure{-ECANCELED, "linkat", directory_.NameOf(Place::kTmp), {}};
  return true;
}

bool Batch::GoesStraight(const NewItem& item) const {
  return item.payload.kind == Payload::Kind::kEmpty && !form_.has_owner() && item.due_ms == 0 &&
         directory_.CreatesExactly(form_.mode);
}

void Batch::EnqueueEmpty(NewItem& item, uint64_t entropy) {
  if (IsUnwanted(item) || !IsCurrent(item)) return;
  for (int collisions = 0;; collisions++) {
    std::string name = NameOf(item, entropy);
    if (!FitsOrFails(item, name)) return;
    if (CreateEmpty(directory_, name, form_.mode) == 0) {
      item.name = std::move(name);
      item.linked = true;
      return;
    }
    if (errno != EEXIST || collisions == kMaxCollisions) {
      if ((errno == ENOENT || errno == EPERM) && directory_.Vanished(Place::kQueue)) errno = ESTALE;
      item.failure = Failure{LastError(), "open", directory_.PathOf(Place::kQueue, name)};
      return;
    }
    entropy = JumpEntropy(collisions);
  }
}

// `name` is what the file is called in tmp/, where it needs a name; the one in queue/ may differ by its
// timestamp.
Failure Batch::OpenFile(Building& building, platform::LinkWay way, std::string name) {
  for (int collisions = 0;; collisions++) {
    Failure failure = ItemFile::Open(directory_, way, name, form_.mode, &building.file);
    if (failure.error != -EEXIST || collisions == kMaxCollisions) return failure;
    building.entropy = JumpEntropy(collisions);
    name = NameOf(*building.item, building.entropy);
  }
}

Failure Batch::Build(Building& building, platform::LinkWay way, const std::string& name) {
  NewItem& item = *building.item;
  if (Failure failure = OpenFile(building, way, name)) return failure;
  if (Failure failure = building.file.Write(item.payload, {stopping_, item.unwanted.get()})) return failure;
  return building.file.SetAttributes(form_, item.due_ms);
}

// A draft that was begun in this very directory needs no building. In one that has taken its place meanwhile,
// it may have lost its name in tmp/, and may not be linked from another mount.
Failure Batch::Prepare(Building& building, const std::string& name) {
  const std::shared_ptr<Draft>& draft = building.item->payload.draft;
  if (draft && !draft->file.valid()) return Failure{-ECANCELED, "linkat", directory_.NameOf(Place::kTmp), {}};
  if (!draft || !draft->file.IsIn(directory_)) return Build(building, directory_.link_way(), name);
  building.file = std::move(draft->file);
  return building.file.SetAttributes(form_, building.item->due_ms);
}

// The inode can get no name the short way here: build it in tmp/, once more from its payload.
bool Batch::Rebuild(Building& building, const std::string& name) {
  if (const std::shared_ptr<Draft>& draft = building.item->payload.draft; draft && !draft->file.valid()) {
    draft->file = std::move(building.file);
  }
  building.file = ItemFile();
  Failure& failure = building.item->failure;
  failure = Build(building, platform::LinkWay::kTemporary, name);
  if (!failure && form_.durable) failure = building.file.Sync(write_out_);
  return !failure;
}

void Batch::Link(Building& building) {
  NewItem& item = *building.item;
  if (IsUnwanted(item) || !IsCurrent(item)) return;
  bool rebuilt = false;
  for (int collisions = 0;;) {
    std::string name = NameOf(item, building.entropy);
    if (!FitsOrFails(item, name)) return;
    if (building.file.Link(name) == 0) {
      // Remembered only now that it worked: a way that failed may have failed for another reason.
      if (rebuilt) directory_.set_link_way(platform::LinkWay::kTemporary);
      item.name = std::move(name);
      item.linked = true;
      return;
    }
    if (errno == ENOTSUP && !rebuilt) {
      rebuilt = true;
      if (!Rebuild(building, name)) return;
    } else if (errno == EEXIST && collisions < kMaxCollisions) {
      building.entropy = JumpEntropy(collisions++);
    } else {
      item.failure = Failure{LastError(), "linkat", directory_.NameOf(Place::kTmp),
                             directory_.PathOf(Place::kQueue, name)};
      if (item.failure.error == -ENOENT && directory_.Vanished(Place::kQueue)) item.failure.error = -ESTALE;
      return;
    }
  }
}

// All contents durable, then all links.
void Batch::LinkGroup(std::vector<Building>& group) {
  if (form_.durable) {
    // All on their way at once. The wait for one is then the wait for all; a first fsync commits what the
    // others would have committed one by one.
    if (group.size() > 1) {
      for (const Building& building : group) building.file.StartSync();
    }
    for (Building& building : group) building.item->failure = building.file.Sync(write_out_);
  }
  for (Building& building : group) {
    if (!building.item->failure) Link(building);
  }
  for (Building& building : group) {
    const std::shared_ptr<Draft>& draft = building.item->payload.draft;
    if (draft && !building.item->linked && !draft->file.valid()) draft->file = std::move(building.file);
  }
  group.clear();
}

void Batch::SyncQueue(std::vector<NewItem>& items) const {
  const bool any = std::any_of(items.begin(), items.end(), [](const NewItem& item) { return item.linked; });
  if (!any || !form_.durable) return;
  // Never tried again: after EIO the kernel counts the pages as clean, and a second fsync would lie.
  const int result = RetryInterrupted(
      [&] { return FSQ_CALL("enqueue.fsyncdir", platform::SyncDirectory(directory_.fd(Place::kQueue))); });
  if (result == 0) return;
  const Failure failure = Failure{LastError(), "fsync", directory_.NameOf(Place::kQueue)};
  for (NewItem& item : items) {
    if (item.linked) item.failure = failure;
  }
}

void Batch::Run(std::vector<NewItem>& items) {
  // Without durability an item is linked as soon as it is written: one descriptor, warm caches.
  const size_t group_size = form_.durable ? kGroup : 1;
  std::vector<Building> group;
  group.reserve(group_size);
  for (NewItem& item : items) {
    if (IsUnwanted(item)) continue;
    Building building{&item, TakeEntropy(), {}};
    const std::string name = NameOf(item, building.entropy);
    if (!FitsOrFails(item, name)) continue;
    if (GoesStraight(item)) {
      LinkGroup(group);  // keeps the order of the links
      EnqueueEmpty(item, building.entropy);
      continue;
    }
    item.failure = Prepare(building, name);
    if ((item.failure.error == -EMFILE || item.failure.error == -ENFILE) && !group.empty()) {
      LinkGroup(group);
      item.failure = Prepare(building, name);
    }
    if (item.failure) continue;
    group.push_back(std::move(building));
    if (group.size() == group_size) LinkGroup(group);
  }
  LinkGroup(group);
  SyncQueue(items);
}

Failure Batch::Open(NewItem& item, ItemFile* file) {
  Building building{&item, TakeEntropy(), {}};
  const std::string name = NameOf(item, building.entropy);
  if (!FitsOrFails(item, name)) return item.failure;
  Failure failure = OpenFile(building, directory_.link_way(), name);
  *file = std::move(building.file);
  return failure;
}

}  // namespace

void EnqueueAll(QueueDirectory& directory, const ItemForm& form, std::vector<NewItem>& items,
                const std::atomic<bool>* stopping) {
  Batch(directory, form, stopping).Run(items);
}

void OpenDraft(std::shared_ptr<QueueDirectory> directory, const ItemForm& form, NewItem& item) {
  auto draft = std::make_shared<Draft>();
  item.failure = Batch(*directory, form, nullptr).Open(item, &draft->file);
  if (item.failure) return;
  draft->directory = std::move(directory);
  item.payload.kind = Payload::Kind::kDraft;
  item.payload.draft = std::move(draft);
}

}  // namespace fsq
