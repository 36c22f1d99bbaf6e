#include "queue/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "calls/clock.h"
#include "calls/fault_point.h"
#include "files/made_like.h"
#include "queue/worker_directory.h"

namespace fsq {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

// Section 4 of the standard allows this age of a look for `down` when an item is handed out.
constexpr int64_t kLookLastsNs = 10'000'000;
// A down file of another machine is seen after at most this time.
constexpr int64_t kRefreshLastsNs = 1'000'000'000;

constinit std::atomic<int64_t> down_at_ns{0};

constexpr int64_t kModeLastsMs = 10;
// Of other modes, writing and a change of the owner clear bits.
constexpr mode_t kPlainMode = 0777;
constexpr int kModeBits = 9;

constinit std::atomic<int64_t> umask_at_ms{0};

}  // namespace

std::shared_ptr<QueueDirectory> QueueDirectory::Open(std::string path, Layout layout, bool locking,
                                                     Failure* failure) {
  auto directory = std::make_shared<QueueDirectory>();
  directory->path_ = std::move(path);
  directory->layout_ = std::move(layout);
  directory->queue_path_ = JoinPath(directory->path_, directory->NameOf(Place::kQueue));

  directory->root_ = Descriptor(FSQ_CALL("open.directory", ::open(directory->path_.c_str(), kOpenFlags)));
  if (!directory->root_.valid()) {
    *failure = Failure{LastError(), "open", directory->path_};
    return nullptr;
  }
  if (const std::string& parent = directory->layout_.parent; !parent.empty()) {
    directory->parent_ = Descriptor(FSQ_CALL("open.directory", ::open(parent.c_str(), kOpenFlags)));
    if (!directory->parent_.valid()) {
      *failure = Failure{LastError(), "open", parent};
      return nullptr;
    }
  }
  for (size_t place = 0; place < kPlaces; place++) {
    const char* const name = directory->layout_.names[place].c_str();
    // O_NOFOLLOW: the queue may be a symlink, but its four directories may not.
    directory->places_[place] = Descriptor(
        FSQ_CALL("open.directory", ::openat(directory->root_.get(), name, kOpenFlags | O_NOFOLLOW)));
    if (!directory->places_[place].valid()) {
      *failure = Failure{LastError(), "openat", JoinPath(directory->path_, name)};
      return nullptr;
    }
  }
  std::array<FileId, kPlaces>& ids = directory->ids_;
  for (size_t place = 0; place < kPlaces; place++) {
    const std::string where = JoinPath(directory->path_, directory->layout_.names[place]);
    struct stat info;
    if (RetryInterrupted(::fstat, directory->places_[place].get(), &info) == -1) {
      *failure = Failure{LastError(), "fstat", where};
      return nullptr;
    }
    ids[place] = IdOf(info);
    // One directory under two names (by a bind mount or a setting): moving an item from it to itself would
    // lose the item.
    for (size_t earlier = 0; earlier < place; earlier++) {
      if (ids[earlier] == ids[place]) {
        *failure = Failure{-EINVAL, "fstat", where, {}};
        return nullptr;
      }
    }
  }
  if (platform::FindFileSystem(directory->fd(Place::kQueue), &directory->file_system_) == -1) {
    *failure = Failure{LastError(), "fstatfs", JoinPath(directory->path_, directory->NameOf(Place::kQueue))};
    return nullptr;
  }
  const long name_max = RetryInterrupted(::fpathconf, directory->fd(Place::kQueue), _PC_NAME_MAX);
  if (name_max > 0) directory->name_max_ = std::min(kNameMax, static_cast<size_t>(name_max));
  directory->umask_ = platform::Umask();
  directory->locking_ = locking;
  const int by_rename = directory->HasMarker(directory->layout_.rename_marker);
  directory->claims_by_rename_ = by_rename == 1;
  if (by_rename == -1 || directory->FindLockKind(&directory->lock_kind_) == -1) {
    *failure = Failure{LastError(), "fstatat", JoinPath(directory->path_, directory->marker())};
    return nullptr;
  }
  return directory;
}

// 1: the queue has the marker; 0: it has not; -1 errno.
int QueueDirectory::HasMarker(const std::string& marker) const {
  return HasFile(root_.get(), marker);
}

void QueueDirectory::RefreshLately() const {
  if (file_system_.reach == platform::FileSystem::Reach::kLocal) return;
  const int64_t now = NowNs();
  if (now - refreshed_at_ns_ < kRefreshLastsNs) return;
  refreshed_at_ns_ = now;
  (void)platform::Refresh(root_.get());
  if (parent_.valid()) (void)platform::Refresh(parent_.get());
}

int QueueDirectory::HasFile(int directory, const std::string& name) const {
  struct stat info;
  if (FSQ_CALL("claim.kind", ::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW)) == 0) return 1;
  return errno == ENOENT ? 0 : -1;
}

// The kind of the parent is not remembered: a conversion of the parent does not open its host queues again.
int QueueDirectory::IsParentDown() const {
  if (!parent_.valid()) return 0;
  const int marked = HasFile(parent_.get(), layout_.rename_marker);
  return marked == -1 ? -1 : HasFile(parent_.get(), marked == 1 ? layout_.rename_down : layout_.down);
}

// The kind of claim that the other workers make must be known, not guessed: locks of the two kinds do not
// exclude each other.
int QueueDirectory::FindLockKind(LockKind* kind) const {
  *kind = LockKind::kNone;
  if (!locking_ || claims_by_rename_) return 0;
  const int marked = HasMarker(layout_.marker);
  *kind = marked == 1 ? LockKind::kDescription : LockKind::kFlock;
  return marked == -1 ? -1 : 0;
}

int QueueDirectory::CheckClaims() const {
  if (claims_by_rename_) {
    const int marked = HasMarker(layout_.rename_marker);
    if (marked == 0) errno = ESTALE;
    return marked == 1 ? 0 : -1;
  }
  LockKind kind = LockKind::kNone;
  if (FindLockKind(&kind) == -1) return -1;
  if (kind == lock_kind_) return 0;
  errno = ESTALE;
  return -1;
}

bool QueueDirectory::Vanished(Place place) const {
  struct stat info;
  return RetryInterrupted(::fstat, fd(place), &info) == 0 ? info.st_nlink == 0 : errno == ESTALE;
}

bool QueueDirectory::RenamesExclusively() const {
  // Renames a directory to its own name: EEXIST if the flag is supported. In either case nothing changes.
  const char* const name = NameOf(Place::kTmp).c_str();
  const int renamed =
      FSQ_CALL("claim.exclusive", platform::RenameExclusive(root_.get(), name, root_.get(), name));
  return renamed == 0 || errno == EEXIST;
}

int QueueDirectory::IsDown() const {
  const int64_t begun = NowNs();
  struct stat info;
  const std::string& down = claims_by_rename_ ? layout_.rename_down : layout_.down;
  RefreshLately();
  if (FSQ_CALL("claim.down", ::fstatat(root_.get(), down.c_str(), &info, AT_SYMLINK_NOFOLLOW)) == 0) {
    // It may be the guard of a queue that has been converted to claims by renames since it was opened: the
    // caller opens it again.
    const int marked = claims_by_rename_ ? 0 : HasMarker(layout_.rename_marker);
    if (marked == 1) errno = ESTALE;
    return marked == 0 ? 1 : -1;
  }
  if (errno != ENOENT) return -1;
  const int parent = IsParentDown();
  if (parent == 0) up_at_ns_ = begun;
  return parent;
}

int QueueDirectory::IsDownLately() const {
  const int64_t up_at = up_at_ns_;
  const bool is_known = up_at > down_at_ns && NowNs() - up_at < kLookLastsNs;
  // A test can have each look made.
  return FSQ_ANSWER("claim.down", is_known) ? 0 : IsDown();
}

void QueueDirectory::NoteDown() {
  down_at_ns = NowNs();
}

int QueueDirectory::CheckCurrent() const {
  struct stat info;
  const int result = FSQ_CALL("enqueue.stat", ::stat(queue_path_.c_str(), &info));
  if (result == 0 && IdOf(info) == ids_[0]) return 0;
  if (result == 0 || errno == ENOENT || errno == ENOTDIR) errno = ESTALE;
  return -1;
}

int QueueDirectory::CheckAllCurrent() const {
  if (CheckCurrent() == -1) return -1;
  for (size_t place = 1; place < kPlaces; place++) {
    struct stat info;
    const int result = LookAt(root_.get(), layout_.names[place], &info);
    if (result == 0 && IdOf(info) == ids_[place]) continue;
    if (result == 0 || errno == ENOENT || errno == ENOTDIR) errno = ESTALE;
    return -1;
  }
  return 0;
}

Descriptor QueueDirectory::OpenAgain(Place place) const {
  return Descriptor(
      FSQ_CALL("open.directory", ::openat(root_.get(), NameOf(place).c_str(), kOpenFlags | O_NOFOLLOW)));
}

int QueueDirectory::Look(const char* point, int directory, const char* name, struct stat* info) const {
  (void)point;
  using Reach = platform::FileSystem::Reach;
  if (file_system_.reach != Reach::kLocal) {
    const int refreshed = FSQ_CALL("look.refresh", platform::Refresh(directory));
    // A file system of unknown reach may be local, and need not support the call.
    if (refreshed == -1 && file_system_.reach == Reach::kNetwork) return -1;
  }
  return FSQ_CALL(point, ::fstatat(directory, name, info, AT_SYMLINK_NOFOLLOW));
}

int QueueDirectory::HasTwin(int directory, const char* name, const struct stat& info) const {
  struct stat other;
  const int result = Look("claim.twin", directory, name, &other);
  if (result == 0) return IdOf(other) == IdOf(info) ? 1 : 0;
  return errno == ENOENT || errno == ENAMETOOLONG ? 0 : -1;
}

bool QueueDirectory::WritesOut() const {
  Known known = writes_out_.load(std::memory_order_relaxed);
  if (known == Known::kUnknown) {
    const int answer =
        FSQ_CALL("enqueue.writesout", platform::WritesOut(fd(Place::kQueue), file_system_) ? 1 : 0);
    known = FSQ_ANSWER("enqueue.writesout", answer) == 1 ? Known::kYes : Known::kNo;
    writes_out_.store(known, std::memory_order_relaxed);
  }
  return known == Known::kYes;
}

bool QueueDirectory::CreatesExactly(mode_t mode) const {
  return umask_ >= 0 && (mode & static_cast<mode_t>(umask_)) == 0 &&
         !inexact_modes_.load(std::memory_order_relaxed);
}

bool QueueDirectory::MadeExactly(Place place, mode_t mode, int64_t opened_ms) const {
  const int64_t look = exact_looks_[static_cast<size_t>(place)];
  const int64_t looked_ms = look >> kModeBits;
  return look != 0 && (look & kPlainMode) == mode && looked_ms > umask_at_ms && opened_ms >= looked_ms &&
         opened_ms - looked_ms < kModeLastsMs;
}

void QueueDirectory::NoteLook(Place place, mode_t mode, int64_t opened_ms, bool is_exact) {
  // Servers and FUSE programs may decide on each mode anew.
  const bool lasts =
      is_exact && (mode & ~kPlainMode) == 0 && file_system_.reach == platform::FileSystem::Reach::kLocal;
  exact_looks_[static_cast<size_t>(place)] = lasts ? opened_ms << kModeBits | static_cast<int64_t>(mode) : 0;
}

void QueueDirectory::NoteUmask() {
  umask_at_ms = NowMs();
}

std::shared_ptr<WorkerDirectory> QueueDirectory::Worker(Failure* failure) const {
  const std::lock_guard<std::mutex> making(making_worker_);
  if (std::shared_ptr<WorkerDirectory> known = KnownWorker()) {
    if (!known->IsLost()) return known;
    ForgetWorker();
    *failure = Failure{-EOWNERDEAD, "read", known->PathOf(WorkerDirectory::kLockName), {}};
    return nullptr;
  }
  std::shared_ptr<WorkerDirectory> made = WorkerDirectory::Make(*this, lease_ms_, failure);
  const std::lock_guard<std::mutex> guard(worker_mutex_);
  worker_ = made;
  return made;
}

std::shared_ptr<WorkerDirectory> QueueDirectory::KnownWorker() const {
  const std::lock_guard<std::mutex> guard(worker_mutex_);
  return worker_;
}

std::shared_ptr<WorkerDirectory> QueueDirectory::ForgetWorker() const {
  const std::lock_guard<std::mutex> guard(worker_mutex_);
  return std::exchange(worker_, nullptr);
}

bool QueueDirectory::HasDoubts() const {
  const std::shared_ptr<WorkerDirectory> worker = KnownWorker();
  return worker && worker->HasDoubts();
}

std::vector<std::string> QueueDirectory::FindStrays() const {
  const std::shared_ptr<WorkerDirectory> worker = KnownWorker();
  return worker ? worker->FindStrays() : std::vector<std::string>();
}

Failure QueueDirectory::OpenClaimed(Descriptor* opened) const {
  const auto open = [&] {
    return Descriptor(
        FSQ_CALL("open.directory", ::openat(root_.get(), layout_.claimed.c_str(), kOpenFlags | O_NOFOLLOW)));
  };
  *opened = open();
  if (opened->valid()) return {};
  if (errno != ENOENT) return Failure{LastError(), "openat", layout_.claimed};
  struct stat like;
  if (RetryInterrupted(::fstat, root_.get(), &like) == -1)
    return Failure{LastError(), "fstat", layout_.claimed};
  const char* failed = MakeDirectoryLike(root_.get(), layout_.claimed, like, opened);
  if (failed != nullptr && errno == EEXIST) {
    *opened = open();  // another worker was faster
    failed = opened->valid() ? nullptr : "openat";
  }
  return failed == nullptr ? Failure{} : Failure{LastError(), failed, layout_.claimed};
}

Descriptor QueueDirectory::ListClaimed() const {
  Descriptor opened(
      FSQ_CALL("open.directory", ::openat(root_.get(), layout_.claimed.c_str(), kOpenFlags | O_NOFOLLOW)));
  if (opened.valid()) (void)platform::Refresh(opened.get());  // a hint where it is not supported
  return opened;
}

Failure QueueDirectory::MakeGuard() const {
  // `fsq scan -i` ignores the down file by looking for one that no queue has. That is no guard.
  if (layout_.down.starts_with(".fsq-")) return {};
  constexpr std::string_view kText =
      "This queue is worked by renames (claims-rename): only fsq 0.2 and later may scan it. Take it down and "
      "up "
      "with fsq down and fsq up.\n";
  const Descriptor made(
      FSQ_CALL("worker.guard", ::openat(root_.get(), layout_.down.c_str(),
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640)));
  if (!made.valid()) return errno == EEXIST ? Failure{} : Failure{LastError(), "openat", layout_.down};
  // The file guards by its existence. The text is for people.
  (void)RetryInterrupted(::write, made.get(), kText.data(), kText.size());
  return {};
}

}  // namespace fsq
