#include "queue/enqueue.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "calls/fault_point.h"
#include "names/time_text.h"
#include "queue/new_name.h"

namespace fsq {
namespace {

// How many descriptors one group holds open between writing and linking.
constexpr size_t kGroup = 64;
// Collisions before it gives up. With doubling jumps, this covers far more names than any queue can hold.
constexpr int kMaxCollisions = 64;

// An item that is being enqueued.
struct Building {
  explicit Building(const QueueDirectory& directory)
      : name(directory.claims_by_rename() ? NewName::RandomStart() : 0) {}

  NewItem* item = nullptr;
  NewName name;
  bool straight = false;  // created directly in queue/, with nothing to build
  ItemFile file;
};

// Of the names in tmp/ that no other process makes.
std::string PrivateSuffix(const ItemForm& form) {
  return form.names.delimiter + std::to_string(NewName::RandomStart());
}

class Batch {
 public:
  Batch(QueueDirectory& directory, const ItemForm& form, const std::atomic<bool>* stopping)
      : directory_(directory),
        form_(form),
        stopping_(stopping),
        write_out_(form.durable && !form.plain_sync && directory.WritesOut()),
        private_suffix_(form.exact ? PrivateSuffix(form) : std::string()) {}

  void Run(std::span<NewItem> items);
  void RunLone(NewItem& item);
  Failure Open(NewItem& item, mode_t mode, ItemFile* file);

 private:
  bool GoesStraight(const NewItem& item) const;
  bool Begin(NewItem& item, Building* building);
  const std::string& NameOf(Building& building, Instant now) const;
  bool FitsOrFails(NewItem& item, const std::string& name) const;
  bool IsCurrent(NewItem& item);
  bool IsUnwanted(NewItem& item) const;
  Failure OpenFile(Building& building, platform::LinkWay way, mode_t mode);
  Failure Build(Building& building, platform::LinkWay way);
  Failure Prepare(Building& building);
  void KeepOrder(Building& building) const;
  int CheckFinished(const std::string& name) const;
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
  const std::string private_suffix_;
  bool checked_ = false;
  uint64_t next_ = 0;  // greater than the entropy of every item linked so far
};

// Called twice: before the file is made, and just before the link, with the time of that moment.
const std::string& Batch::NameOf(Building& building, Instant now) const {
  return form_.exact ? building.item->suffix : building.name.At(now, form_.names, building.item->suffix);
}

// 0: done/ and fail/ lack the exact name; -1: errno.
int Batch::CheckFinished(const std::string& name) const {
  for (const Place place : {Place::kDone, Place::kFail}) {
    struct stat info;
    if (directory_.Look("enqueue.stat", directory_.fd(place), name.c_str(), &info) == 0) {
      errno = EEXIST;
      return -1;
    }
    if (errno != ENOENT) return -1;
  }
  return 0;
}

bool Batch::FitsOrFails(NewItem& item, const std::string& name) const {
  if (name.size() <= directory_.name_max()) return true;
  item.name_bytes = name.size();
  item.name_limit = directory_.name_max();
  item.failure = Failure{-ENAMETOOLONG, "linkat", directory_.PathOf(Place::kQueue, name), {}};
  return false;
}

// Checked once a batch, before its first link: the path must still name the open directory.
bool Batch::IsCurrent(NewItem& item) {
  if (checked_) return true;
  if (directory_.CheckCurrent() == -1) {
    item.failure = Failure{LastError(), "stat", directory_.NameOf(Place::kQueue)};
    return false;
  }
  checked_ = true;
  return true;
}

// Checked before the item is begun, and again just before it becomes visible.
bool Batch::IsUnwanted(NewItem& item) const {
  if (!Stopping{nullptr, item.unwanted.get()}.requested()) return false;
  item.failure = Failure{-ECANCELED, "linkat", directory_.NameOf(Place::kTmp), {}};
  return true;
}

bool Batch::GoesStraight(const NewItem& item) const {
  // On other file systems the call can be interrupted, and a name that exists afterwards may be ours or
  // another producer's.
  const bool is_local = directory_.file_system().reach == platform::FileSystem::Reach::kLocal;
  return is_local && item.payload.kind == Payload::Kind::kEmpty && !form_.has_owner() && item.due_ms == 0 &&
         directory_.CreatesExactly(form_.mode);
}

// After a collision, an item jumps past the entropies that the next items took earlier. Those items take new
// ones; otherwise they would sort before it.
void Batch::KeepOrder(Building& building) const {
  if (building.name.entropy() < next_) building.name.TakeEntropy();
}

void Batch::SetLinked(Building& building) {
  building.item->name = form_.exact ? building.item->suffix : building.name.Release();
  building.item->linked = true;
  next_ = building.name.entropy() + 1;
}

void Batch::EnqueueEmpty(Building& building) {
  NewItem& item = *building.item;
  if (IsUnwanted(item) || !IsCurrent(item)) return;
  KeepOrder(building);
  for (int collisions = 0;; collisions++) {
    const std::string& name = NameOf(building, Now());
    if (!FitsOrFails(item, name)) return;
    if ((!form_.exact || CheckFinished(name) == 0) && CreateEmpty(directory_, name, form_.mode) == 0)
      return SetLinked(building);
    if (errno != EEXIST || collisions == kMaxCollisions || form_.exact) {
      if ((errno == ENOENT || errno == EPERM) && directory_.Vanished(Place::kQueue)) errno = ESTALE;
      item.failure = Failure{LastError(), "open", directory_.PathOf(Place::kQueue, name)};
      return;
    }
    building.name.JumpEntropy(collisions);
  }
}

// If the file needs a name in tmp/, its timestamp may differ from the one of the name in queue/. An exact
// name never stands in tmp/: other programs truncate the file of that name there.
Failure Batch::OpenFile(Building& building, platform::LinkWay way, mode_t mode) {
  for (int collisions = 0;; collisions++) {
    if (form_.exact) (void)building.name.At(AboutNow(), form_.names, private_suffix_);
    Failure failure =
        ItemFile::Open(directory_, way, building.name.text(), mode, form_.durable, &building.file);
    if (failure.error != -EEXIST || collisions == kMaxCollisions) return failure;
    building.name.JumpEntropy(collisions);
    (void)NameOf(building, AboutNow());
  }
}

Failure Batch::Build(Building& building, platform::LinkWay way) {
  NewItem& item = *building.item;
  if (Failure failure = OpenFile(building, way, form_.mode)) return failure;
  if (Failure failure = building.file.Write(item.payload, {stopping_, item.unwanted.get()})) return failure;
  return building.file.SetAttributes(form_, item.due_ms);
}

// A draft that was begun in this directory needs no building. If another directory has replaced that one, the
// draft may have lost its name in tmp/, and cannot be linked from another mount. Then it is copied.
Failure Batch::Prepare(Building& building) {
  const std::shared_ptr<Draft>& draft = building.item->payload.draft;
  if (draft && !draft->file.valid()) return Failure{-ECANCELED, "linkat", directory_.NameOf(Place::kTmp), {}};
  if (!draft || !draft->file.IsIn(directory_)) return Build(building, directory_.link_way());
  building.file = std::move(draft->file);
  return building.file.SetAttributes(form_, building.item->due_ms);
}

// The unnamed inode cannot be linked here: build the item again from its payload, in tmp/.
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
    if ((!form_.exact || CheckFinished(name) == 0) && building.file.Link(name) == 0) {
      // Remembered only after it has worked: the first way may have failed for another reason.
      if (rebuilt) directory_.set_link_way(platform::LinkWay::kTemporary);
      return SetLinked(building);
    }
    if (errno == ENOTSUP && !rebuilt) {
      rebuilt = true;
      if (!Rebuild(building)) return;
    } else if (errno == EEXIST && collisions < kMaxCollisions && !form_.exact) {
      building.name.JumpEntropy(collisions++);
    } else {
      item.failure = Failure{LastError(), "linkat", directory_.NameOf(Place::kTmp),
                             directory_.PathOf(Place::kQueue, name)};
      if (item.failure.error == -ENOENT && directory_.Vanished(Place::kQueue)) item.failure.error = -ESTALE;
      return;
    }
  }
}

// Unless the item is linked, gives the draft its file back.
void Batch::KeepDraft(Building& building) {
  const std::shared_ptr<Draft>& draft = building.item->payload.draft;
  if (draft && !building.item->linked && !draft->file.valid()) draft->file = std::move(building.file);
}

// Makes all contents durable, then makes all links.
void Batch::LinkGroup(std::vector<Building>& group) {
  if (form_.durable) {
    // Start all writes at once, so that waiting for one is waiting for all, and the first fsync commits what
    // the others would have committed one by one.
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
  // Never repeated: after EIO the kernel marks the pages as clean, and a second fsync would wrongly succeed.
  const int result = FSQ_CALL("enqueue.fsyncdir", platform::SyncDirectory(directory_.fd(Place::kQueue)));
  if (result == 0) return;
  const Failure failure = Failure{LastError(), "fsync", directory_.NameOf(Place::kQueue)};
  for (NewItem& item : items) {
    if (item.linked) item.failure = failure;
  }
}

// False: the item has already failed.
bool Batch::Begin(NewItem& item, Building* building) {
  if (IsUnwanted(item)) return false;
  building->item = &item;
  building->name.TakeEntropy();
  building->straight = GoesStraight(item);
  return FitsOrFails(item, NameOf(*building, AboutNow()));
}

void Batch::RunLone(NewItem& item) {
  Building building(directory_);
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
    // The content was written out without the journal, so one fsync of the file makes both content and name
    // durable. An fsync of the directory costs more.
    item.failure = Failure{LastError(), "fsync", directory_.NameOf(Place::kQueue)};
  }
  KeepDraft(building);
}

void Batch::Run(std::span<NewItem> items) {
  if (items.size() == 1) return RunLone(items.front());
  // Without durability an item is linked as soon as it is written: this takes one descriptor, and the caches
  // are warm.
  const size_t group_size = form_.durable ? kGroup : 1;
  std::vector<Building> group;
  group.reserve(group_size);
  for (NewItem& item : items) {
    Building building(directory_);
    if (!Begin(item, &building)) continue;
    if (building.straight) {
      LinkGroup(group);  // keeps the links in order
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

Failure Batch::Open(NewItem& item, mode_t mode, ItemFile* file) {
  Building building(directory_);
  if (!Begin(item, &building)) return item.failure;
  Failure failure = OpenFile(building, directory_.link_way(), mode);
  *file = std::move(building.file);
  return failure;
}

}  // namespace

void EnqueueAll(QueueDirectory& directory, const ItemForm& form, std::span<NewItem> items,
                const std::atomic<bool>* stopping) {
  Batch(directory, form, stopping).Run(items);
}

void OpenDraft(std::shared_ptr<QueueDirectory> directory, const ItemForm& form, NewItem& item, bool trusted) {
  constexpr mode_t kOwner = 0700;
  auto draft = std::make_shared<Draft>();
  const mode_t mode = trusted ? form.mode : form.mode & kOwner;
  item.failure = Batch(*directory, form, nullptr).Open(item, mode, &draft->file);
  if (item.failure) return;
  draft->directory = std::move(directory);
  item.payload.kind = Payload::Kind::kDraft;
  item.payload.draft = std::move(draft);
}

}  // namespace fsq
