#include "queue/worker_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "calls/fault_point.h"
#include "files/file_info.h"
#include "files/file_lock.h"
#include "files/made_like.h"
#include "queue/directory.h"

namespace fsq {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// In a queue that a group may write to, a planted link or FIFO must neither lead elsewhere nor block.
constexpr int kLockFlags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

// Another worker can lock a new `.lock` before its owner does, and take the owner for dead. Then the owner
// makes another directory, so many times at most.
constexpr int kMostNames = 16;

constexpr size_t kHostBytes = 64;
constexpr size_t kLineBytes = 512;
constexpr size_t kRandomDigits = 16;

std::string NewName() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == -1) host[0] = '\0';
  std::string name = std::string(host.data()).substr(0, kHostBytes);
  for (char& byte : name) {
    const bool is_plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                          (byte >= 'a' && byte <= 'z') || byte == '_' || byte == '.' || byte == '-';
    if (!is_plain) byte = '_';
  }
  // A hidden directory would be overlooked.
  if (name.empty() || name.front() == '.') name.insert(0, 1, '_');
  std::array<char, 64> rest;
  std::snprintf(rest.data(), rest.size(), "-%lld-%016llx", static_cast<long long>(::getpid()),
                static_cast<unsigned long long>(platform::RandomNumber()));
  return name.append(rest.data());
}

// Open-file-description locks, because those of NFS exclude between machines; flock where there are none.
int TryLockOf(int fd, LockKind* kind) {
  *kind = LockKind::kDescription;
  const int locked = TryLock(fd, *kind);
  if (locked == 0 || errno != EINVAL) return locked;
  *kind = LockKind::kFlock;
  return TryLock(fd, *kind);
}

}  // namespace

// As parseWorkerName in src/directory/claimed.ts.
bool WorkerDirectory::IsName(std::string_view name) {
  const size_t random = name.rfind('-');
  if (random == std::string_view::npos || random == 0) return false;
  const size_t pid = name.rfind('-', random - 1);
  if (pid == std::string_view::npos || pid == 0) return false;
  const std::string_view process = name.substr(pid + 1, random - pid - 1);
  const std::string_view digits = name.substr(random + 1);
  return pid <= kHostBytes + 1 && !process.empty() &&
         process.find_first_not_of("0123456789") == std::string_view::npos &&
         digits.size() == kRandomDigits &&
         digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

WorkerDirectory::WorkerDirectory(const QueueDirectory& queue, std::string name)
    : name_(std::move(name)), path_(queue.PathOfClaimed(name_)) {}

WorkerDirectory::~WorkerDirectory() {
  if (fence_) fence_->FreeSoon();
}

std::shared_ptr<WorkerDirectory> WorkerDirectory::Make(const QueueDirectory& queue, int64_t lease_ms,
                                                       Failure* failure) {
  for (int made = 0; made < kMostNames; made++) {
    auto worker = std::make_shared<WorkerDirectory>(queue, NewName());
    Descriptor lock;
    *failure = worker->MakeIn(queue, &lock);
    if (*failure) return nullptr;
    LockKind kind = LockKind::kNone;
    const int64_t begun_ns = platform::SleepingClockNs();
    const bool is_locked = FSQ_CALL("worker.lock", TryLockOf(lock.get(), &kind)) == 0;
    if (!is_locked && errno != EAGAIN) {
      *failure = worker->FailureOf("fcntl", kLockName);
      (void)worker->Unmake();
      return nullptr;
    }
    if (!is_locked || !worker->HasLock(queue, lock.get())) continue;
    if (FSQ_CALL("worker.fsync", platform::SyncDirectory(worker->claimed_.get())) == -1) {
      *failure = worker->FailureOf("fsync");
      (void)worker->Unmake();
      return nullptr;
    }
    worker->fence_ = Fence::Start(std::move(lock), kind, begun_ns, lease_ms, failure);
    if (worker->fence_) return worker;
    (void)worker->Unmake();
    return nullptr;
  }
  *failure = Failure{-EAGAIN, "fcntl", queue.PathOfClaimed(kLockName), {}};
  return nullptr;
}

std::shared_ptr<WorkerDirectory> WorkerDirectory::Seize(const QueueDirectory& queue, int claimed,
                                                        const std::string& name, int64_t lease_ms,
                                                        Failure* failure) {
  auto worker = std::make_shared<WorkerDirectory>(queue, name);
  const std::string lock_path = JoinPath(name, kLockName);
  const auto open = [&](int flags) {
    return Descriptor(
        FSQ_CALL("takeover.open", ::openat(claimed, lock_path.c_str(), kLockFlags | flags, 0660)));
  };
  Descriptor lock = open(0);
  if (!lock.valid() && errno == ENOENT) {
    // A new directory has no `.lock` yet, and no items either. With items, a worker has died while it removed
    // the directory, and an item that it had claimed long before arrived late.
    if (worker->OpenIn(claimed) || !worker->HasItems()) return nullptr;
    lock = open(O_CREAT | O_EXCL);
    if (!lock.valid() && errno == EEXIST) return nullptr;
  }
  if (!lock.valid()) {
    // Not the directory of a worker, or another user's, or removed meanwhile.
    const bool is_none = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO ||
                         errno == EISDIR || errno == EACCES || errno == EPERM;
    if (!is_none) *failure = worker->FailureOf("openat", kLockName);
    return nullptr;
  }
  LockKind kind = LockKind::kNone;
  const int64_t begun_ns = platform::SleepingClockNs();
  const int locked = FSQ_CALL("takeover.lock", TryLockOf(lock.get(), &kind));
  if (FSQ_ANSWER("takeover.lock", locked) == -1) {
    if (errno != EAGAIN) *failure = worker->FailureOf("fcntl", kLockName);
    return nullptr;
  }
  if (!worker->directory_.valid()) {
    *failure = worker->OpenIn(claimed);
    if (failure->error == -ENOENT) *failure = {};
    if (!worker->directory_.valid()) return nullptr;
  }
  if (!worker->HasLock(queue, lock.get())) return nullptr;
  // Before any item moves: from now on, its worker cannot take the moves of others for its own.
  if (worker->RemoveEntry("takeover.disown", worker->directory_.get(), kOwnedName, 0) == -1) {
    if (errno != EACCES && errno != EPERM) *failure = worker->FailureOf("unlinkat", kOwnedName);
    return nullptr;
  }
  worker->fence_ = Fence::Start(std::move(lock), kind, begun_ns, lease_ms, failure);
  return worker->fence_ ? worker : nullptr;
}

Descriptor WorkerDirectory::LockUnused(int directory) {
  Descriptor lock(FSQ_CALL("takeover.open", ::openat(directory, kLockName, kLockFlags)));
  LockKind kind = LockKind::kNone;
  if (lock.valid() && FSQ_CALL("takeover.lock", TryLockOf(lock.get(), &kind)) == -1) lock.Reset();
  return lock;
}

// Opens the directory of another worker, for a take-over.
Failure WorkerDirectory::OpenIn(int claimed) {
  claimed_ = Descriptor(FSQ_CALL("worker.open", ::openat(claimed, ".", kOpenFlags)));
  if (!claimed_.valid()) return FailureOf("openat");
  directory_ = Descriptor(FSQ_CALL("worker.open", ::openat(claimed, name_.c_str(), kOpenFlags)));
  return directory_.valid() ? Failure{} : FailureOf("openat");
}

// Makes the directory and its `.lock`.
Failure WorkerDirectory::MakeIn(const QueueDirectory& queue, Descriptor* lock) {
  if (Failure failure = queue.MakeGuard()) return failure;
  if (Failure failure = queue.OpenClaimed(&claimed_)) return failure;
  struct stat like;
  if (RetryInterrupted(::fstat, claimed_.get(), &like) == -1) return FailureOf("fstat");
  if (const char* const failed = MakeDirectoryLike(claimed_.get(), name_, like, &directory_))
    return FailureOf(failed);
  constexpr int kMake = kLockFlags | O_CREAT | O_EXCL;
  // First, so that a worker that finds `.lock` finds it, too.
  const bool is_owned =
      Descriptor(FSQ_CALL("worker.own", ::openat(directory_.get(), kOwnedName, kMake, like.st_mode & 0666)))
          .valid();
  if (is_owned)
    *lock = Descriptor(
        FSQ_CALL("worker.open", ::openat(directory_.get(), kLockName, kMake, like.st_mode & 0666)));
  Failure failure;
  if (!is_owned) {
    failure = FailureOf("openat", kOwnedName);
  } else if (!lock->valid()) {
    failure = FailureOf("openat", kLockName);
  } else if (AdornLike(lock->get(), like, like.st_mode & 0666) == -1) {
    failure = FailureOf("fchmod", kLockName);
  } else {
    std::string line(kLineBytes, ' ');
    line.back() = '\n';
    // A short write: the disk is full.
    const ssize_t written = FSQ_CALL("worker.write", ::write(lock->get(), line.data(), line.size()));
    if (written >= 0 && static_cast<size_t>(written) < line.size()) errno = ENOSPC;
    if (written != static_cast<ssize_t>(line.size())) failure = FailureOf("write", kLockName);
  }
  if (failure) (void)Unmake();
  return failure;
}

bool WorkerDirectory::HasVanished() const {
  struct stat info;
  if (RetryInterrupted(::fstat, directory_.get(), &info) == 0) return info.st_nlink == 0;
  // ENOENT: FUSE file systems may look it up by its path.
  return errno == ESTALE || errno == ENOENT;
}

bool WorkerDirectory::HasItems() const {
  bool has_items = false;
  const int visited = Visit([&](const platform::DirectoryEntry&) {
    has_items = true;
    return false;
  });
  return visited == 0 && has_items;
}

// Whether `.lock` is still the file that was locked: another worker may have removed it before.
bool WorkerDirectory::HasLock(const QueueDirectory& queue, int lock) const {
  struct stat own;
  struct stat named;
  return RetryInterrupted(::fstat, lock, &own) == 0 &&
         queue.Look("worker.look", directory_.get(), kLockName, &named) == 0 && IdOf(named) == IdOf(own);
}

int WorkerDirectory::OpenStream() const {
  (void)platform::Refresh(directory_.get());  // a hint where it is not supported
  return FSQ_CALL("list.open", ::openat(directory_.get(), ".", kOpenFlags));
}

int WorkerDirectory::RemoveEntry(const char* point, int directory, const char* name, int flags) const {
  (void)point;
  const int removed = FSQ_CALL(point, ::unlinkat(directory, name, flags));
  // ENOENT: an interrupted call has removed it, or another worker has.
  return removed == 0 || errno == ENOENT ? 0 : -1;
}

int WorkerDirectory::ProveOwned() {
  if (IsLost()) return 0;
  if (FSQ_CALL("finish.disown", ::unlinkat(directory_.get(), kOwnedName, 0)) == 0) return 1;
  if (errno != ENOENT && errno != ESTALE) return -1;
  fence_->Fall();
  return 0;
}

// Changes `.lock` to read the clock of the file system from its change time: no call asks for that clock.
void WorkerDirectory::AwaitClock(int64_t claimed_us) {
  constexpr timespec kPause{0, 1'000'000};
  // The clock of an old file system counts in seconds.
  constexpr int kMostPauses = 1100;
  constexpr int64_t kMostBehindUs = int64_t{kMostPauses} * 1000;
  for (int pauses = 0; clock_us_ <= claimed_us; pauses++) {
    if (pauses > 0) ::nanosleep(&kPause, nullptr);
    struct stat info;
    // If another worker has taken over, the move finds that out.
    if (FSQ_CALL("worker.clock", ::utimensat(directory_.get(), kLockName, nullptr, AT_SYMLINK_NOFOLLOW)) ==
            -1 ||
        LookAt(directory_.get(), kLockName, &info) == -1)
      return;
    clock_us_ = pauses == kMostPauses ? claimed_us + 1 : FSQ_ANSWER("worker.clock", ChangedUs(info));
    // It was set back. To wait would be in vain, and each item that was claimed before would wait.
    if (claimed_us - clock_us_ > kMostBehindUs) return;
  }
}

// `.lock` comes last: a directory without it looks like one that its worker is still making.
Failure WorkerDirectory::Unmake() {
  if (RemoveEntry("worker.disown", directory_.get(), kOwnedName, 0) == -1)
    return FailureOf("unlinkat", kOwnedName);
  if (RemoveEntry("worker.unlink", directory_.get(), kLockName, 0) == -1)
    return FailureOf("unlinkat", kLockName);
  // NFS keeps a removed file under another name in the directory for as long as it is open.
  if (fence_) fence_->Free();
  return RemoveEntry("worker.rmdir", claimed_.get(), name_.c_str(), AT_REMOVEDIR) == 0
             ? Failure{}
             : FailureOf("unlinkat");
}

Failure WorkerDirectory::Remove() {
  bool has_items = false;
  const int visited = Visit([&](const platform::DirectoryEntry&) {
    has_items = true;
    return false;
  });
  Failure failure;
  if (visited == -1) {
    if (errno != ENOENT) failure = FailureOf("getdents64");
  } else if (has_items) {
    failure = Failure{-ENOTEMPTY, "unlinkat", path_, {}};
  }
  if (!failure) failure = Unmake();
  fence_->Free();
  return failure;
}

WorkerDirectory::Taken WorkerDirectory::Take(const std::string& name) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (!held_.insert(name).second) return Taken::kHeld;
  return doubtful_.empty() || doubtful_.erase(name) == 0 ? Taken::kFree : Taken::kInDoubt;
}

void WorkerDirectory::Drop(const std::string& name) {
  const std::lock_guard<std::mutex> guard(mutex_);
  held_.erase(name);
}

void WorkerDirectory::Doubt(const std::string& name) {
  const std::lock_guard<std::mutex> guard(mutex_);
  held_.erase(name);
  doubtful_.insert(name);
}

bool WorkerDirectory::HasDoubts() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return !doubtful_.empty();
}

std::vector<std::string> WorkerDirectory::FindStrays() {
  std::unordered_set<std::string> doubtful;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (doubtful_.empty()) return {};
    // Before the listing, so that a name that another thread puts in doubt from now on stays in doubt.
    doubtful.swap(doubtful_);
  }
  std::vector<std::string> names;
  const int visited = Visit([&](const platform::DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  const std::lock_guard<std::mutex> guard(mutex_);
  if (visited == -1) doubtful_.merge(doubtful);
  std::erase_if(names, [this](const std::string& name) { return held_.contains(name); });
  doubtful_.insert(names.begin(), names.end());
  return names;
}

}  // namespace fsq
