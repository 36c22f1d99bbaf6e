#include "queue/enqueue.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "calls/fault_point.h"
#include "names/digits.h"
#include "names/time_text.h"

namespace fsq {
namespace {

// Descriptors that one group holds open between writing and linking.
constexpr size_t kGroup = 64;
// Longer ones take memory once more.
constexpr size_t kUsualName = 95;
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
void AppendEncoded(std::string* name, std::string_view field, const ItemForm& form) {
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

void AppendEntropy(std::string* name, const ItemForm& form, uint64_t entropy) {
  std::array<char, 20> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), entropy).ptr;
  const std::string_view text(digits.data(), static_cast<size_t>(end - digits.data()));
  if (IsDigit(form.delimiter) || IsDigit(form.escape))
    AppendEncoded(name, text, form);
  else
    name->append(text);
}

// Returns whether it is another one later in this second. A process that changes its time zone sees that from
// the next second on.
bool AppendHead(std::string* name, const ItemForm& form, Instant now) {
  ItemForm::Head& head = form.head;
  const std::lock_guard<std::mutex> guard(head.mutex);
  if (head.second != now.seconds || head.varies) {
    head.second = now.seconds;
    head.varies = form.time_format.find("%f") != std::string::npos;
    head.text.assign(1, form.delimiter);
    AppendEncoded(&head.text, FormatTime(form.time_format, now, form.utc), form);
    head.text.append(1, form.delimiter);
  }
  name->append(head.text);
  return head.varies;
}

// An item on its way into the queue.
struct Building {
  NewItem* item = nullptr;
  uint64_t entropy = 0;
  // Its name, for as long as this second and this entropy last.
  std::string name;
  int64_t named_second = 0;
  uint64_t named_entropy = 0;
  bool name_varies = false;  // within a second
  bool straight = false;     // there is nothing to build
  ItemFile file;
};

class Batch {
 public:
  Batch(QueueDirectory& directory, const ItemForm& form, const std::atomic<bool>* stopping)
      : directory_(directory),
        form_(form),
        stopping_(stopping),
        write_out_(form.durable && !form.plain_sync && directory.WritesOut()) {}

  void Run(std::span<NewItem> items);
  void RunLone(NewItem& item);
  Failure Open(NewItem& item, ItemFile* file);

 private:
  bool GoesStraight(const NewItem& item) const;
  bool Begin(NewItem& item, Building* building);
  const std::string& NameOf(Building& building, Instant now) const;
  bool FitsOrFails(NewItem& item, const std::string& name) const;
  bool IsCurrent(NewItem& item);
  bool IsUnwanted(NewItem& item) const;
  Failure OpenFile(Building& building, platform::LinkWay way);
  Failure Build(Building& building, platform::LinkWay way);
  Failure Prepare(Building& building);
  void KeepOrder(Building& building) const;
  void SetLinked(Building& building);
  void EnqueueEmpty(Building& building);
  void Link(Building& building);
  bool Rebuild(Building& building);
  static void KeepDraft(Building& building);
  void LinkGroup(std::vector<Building>& group);
  void SyncQueue(std::span<NewItem> items) const;

  QueueDirectory& directory_;
  const ItemForm& form_;
  const std::atomic<bool>* const stopping_;
  const bool write_out_;
  bool checked_ = false;
  uint64_t next_ = 0;  // the least entropy that comes after all that are linked
};

// Asked for twice: before the file is made, and with the time as it is right before the link.
const std::string& Batch::NameOf(Building& building, Instant now) const {
  if (!building.name.empty() && building.named_second == now.seconds &&
      building.named_entropy == building.entropy && !building.name_varies) {
    return building.name;
  }
  building.named_second = now.seconds;
  building.named_entropy = building.entropy;
  std::string& name = building.name;
  name.clear();
  name.reserve(kUsualName);
  building.name_varies = AppendHead(&name, form_, now);
  AppendEntropy(&name, form_, building.entropy);
  name.append(building.item->suffix);
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
  // Elsewhere the call can be interrupted, and a name that is there afterwards may be ours or another
  // producer's.
  const bool is_local = directory_.file_system().reach == platform::FileSystem::Reach::kLocal;
  return is_local && item.payload.kind == Payload::Kind::kEmpty && !form_.has_owner() && item.due_ms == 0 &&
         directory_.CreatesExactly(form_.mode);
}

// An entropy that had to jump is past those that the next items took before: these take new ones, or they
// would sort before it.
void Batch::KeepOrder(Building& building) const {
  if (building.entropy < next_) building.entropy = TakeEntropy();
}

void Batch::SetLinked(Building& building) {
  building.item->name = std::move(building.name);
  building.item->linked = true;
  next_ = building.entropy + 1;
}

void Batch::EnqueueEmpty(Building& building) {
  NewItem& item = *building.item;
  if (IsUnwanted(item) || !IsCurrent(item)) return;
  KeepOrder(building);
  for (int collisions = 0;; collisions++) {
    const std::string& name = NameOf(building, Now());
    if (!FitsOrFails(item, name)) return;
    if (CreateEmpty(directory_, name, form_.mode) == 0) return SetLinked(building);
    if (errno != EEXIST || collisions == kMaxCollisions) {
      if ((errno == ENOENT || errno == EPERM) && directory_.Vanished(Place::kQueue)) errno = ESTALE;
      item.failure = Failure{LastError(), "open", directory_.PathOf(Place::kQueue, name)};
      return;
    }
    building.entropy = JumpEntropy(collisions);
  }
}

// Where the file needs a name in tmp/, that may differ from the one in queue/ by its timestamp.
Failure Batch::OpenFile(Building& building, platform::LinkWay way) {
  for (int collisions = 0;; collisions++) {
    Failure failure = ItemFile::Open(directory_, way, building.name, form_.mode, &building.file);
    if (failure.error != -EEXIST || collisions == kMaxCollisions) return failure;
    building.entropy = JumpEntropy(collisions);
    (void)NameOf(building, AboutNow());
  }
}

Failure Batch::Build(Building& building, platform::LinkWay way) {
  NewItem& item = *building.item;
  if (Failure failure = OpenFile(building, way)) return failure;
  if (Failure failure = building.file.Write(item.payload, {stopping_, item.unwanted.get()})) return failure;
  return building.file.SetAttributes(form_, item.due_ms);
}

// A draft that was begun in this very directory needs no building. In one that has taken its place meanwhile,
// it may have lost its name in tmp/, and may not be linked from another mount.
Failure Batch::Prepare(Building& building) {
  const std::shared_ptr<Draft>& draft = building.item->payload.draft;
  if (draft && !draft->file.valid()) return Failure{-ECANCELED, "linkat", directory_.NameOf(Place::kTmp), {}};
  if (!draft || !draft->file.IsIn(directory_)) return Build(building, directory_.link_way());
  building.file = std::move(draft->file);
  return building.file.SetAttributes(form_, building.item->due_ms);
}

// The inode can get no name the short way here: build it in tmp/, once more from its payload.
bool Batch::Rebuild(Building& building) {
  if (const std::shared_ptr<Draft>& draft = building.item->payload.draft; draft && !draft->file.valid()) {
    draft->file = std::move(building.file);
  }
  building.file = ItemFile();
  Failure& failure = building.item->failure;
  failure = Build(building, platform::LinkWay::kTemporary);
  if (!failure && form_.durable) failure = building.file.Sync(write_out_);
  return !failure;
}

void Batch::Link(Building& building) {
  NewItem& item = *building.item;
  if (IsUnwanted(item) || !IsCurrent(item)) return;
  KeepOrder(building);
  bool rebuilt = false;
  for (int collisions = 0;;) {
    const std::string& name = NameOf(building, Now());
    if (!FitsOrFails(item, name)) return;
    if (building.file.Link(name) == 0) {
      // Remembered only now that it worked: a way that failed may have failed for another reason.
      if (rebuilt) directory_.set_link_way(platform::LinkWay::kTemporary);
      return SetLinked(building);
    }
    if (errno == ENOTSUP && !rebuilt) {
      rebuilt = true;
      if (!Rebuild(building)) return;
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

// A draft has its file back unless that is in the queue.
void Batch::KeepDraft(Building& building) {
  const std::shared_ptr<Draft>& draft = building.item->payload.draft;
  if (draft && !building.item->linked && !draft->file.valid()) draft->file = std::move(building.file);
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
  for (Building& building : group) KeepDraft(building);
  group.clear();
}

void Batch::SyncQueue(std::span<NewItem> items) const {
  const bool any = std::any_of(items.begin(), items.end(), [](const NewItem& item) { return item.linked; });
  if (!any || !form_.durable) return;
  // Never tried again: after EIO the kernel counts the pages as clean, and a second fsync would lie.
  const int result = FSQ_CALL("enqueue.fsyncdir", platform::SyncDirectory(directory_.fd(Place::kQueue)));
  if (result == 0) return;
  const Failure failure = Failure{LastError(), "fsync", directory_.NameOf(Place::kQueue)};
  for (NewItem& item : items) {
    if (item.linked) item.failure = failure;
  }
}

// False: the item has failed already.
bool Batch::Begin(NewItem& item, Building* building) {
  if (IsUnwanted(item)) return false;
  building->item = &item;
  building->entropy = TakeEntropy();
  building->name.clear();
  building->straight = GoesStraight(item);
  return FitsOrFails(item, NameOf(*building, AboutNow()));
}

void Batch::RunLone(NewItem& item) {
  Building building;
  if (!Begin(item, &building)) return;
  if (building.straight) {
    EnqueueEmpty(building);
    return SyncQueue({&item, 1});
  }
  item.failure = Prepare(building);
  if (!item.failure && form_.durable) item.failure = building.file.Sync(write_out_);
  if (!item.failure) Link(building);
  if (!write_out_) {
    SyncQueue({&item, 1});
  } else if (item.linked && building.file.SyncName() == -1) {
    // Where contents are written out apart from their name, one fsync of the file makes both durable; that of
    // the directory costs more.
    item.failure = Failure{LastError(), "fsync", directory_.NameOf(Place::kQueue)};
  }
  KeepDraft(building);
}

void Batch::Run(std::span<NewItem> items) {
  if (items.size() == 1) return RunLone(items.front());
  // Without durability an item is linked as soon as it is written: one descriptor, warm caches.
  const size_t group_size = form_.durable ? kGroup : 1;
  std::vector<Building> group;
  group.reserve(group_size);
  for (NewItem& item : items) {
    Building building;
    if (!Begin(item, &building)) continue;
    if (building.straight) {
      LinkGroup(group);  // keeps the order of the links
      EnqueueEmpty(building);
      continue;
    }
    item.failure = Prepare(building);
    if ((item.failure.error == -EMFILE || item.failure.error == -ENFILE) && !group.empty()) {
      LinkGroup(group);
      item.failure = Prepare(building);
    }
    if (item.failure) continue;
    group.push_back(std::move(building));
    if (group.size() == group_size) LinkGroup(group);
  }
  LinkGroup(group);
  SyncQueue(items);
}

Failure Batch::Open(NewItem& item, ItemFile* file) {
  Building building;
  if (!Begin(item, &building)) return item.failure;
  Failure failure = OpenFile(building, directory_.link_way());
  *file = std::move(building.file);
  return failure;
}

}  // namespace

void EnqueueAll(QueueDirectory& directory, const ItemForm& form, std::span<NewItem> items,
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
