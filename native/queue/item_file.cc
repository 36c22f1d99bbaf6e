#include "queue/item_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "calls/clock.h"
#include "calls/fault_point.h"
#include "files/due_time.h"

namespace fsq {
namespace {

// A copy can be cancelled between two steps.
constexpr size_t kCopyStep = size_t{16} * 1024 * 1024;
constexpr size_t kCopyBuffer = size_t{256} * 1024;
// Few enough bytes that Sync has little left to wait for, and enough that the disk writes long runs.
constexpr size_t kSyncStep = size_t{8} * 1024 * 1024;

// For one long write, the kernel takes large blocks of free memory. In a virtual machine whose host takes
// free memory back, the host must give them anew, so a stream takes longer. Short writes take other memory,
// which is mostly there. docs/benchmarks.md has the figures.
constexpr size_t kAppendStep = size_t{16} * 1024;

// 0 or -1 with errno. A full file system causes a short write first, and ENOSPC at the next call.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = FSQ_CALL("enqueue.write", ::write(fd, bytes.data(), bytes.size()));
    if (written == -1) return -1;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

// Returns the bytes copied through this process, 0 at the end of the source.
ssize_t CopyThroughBuffer(int source, off_t* from, int to) {
  const auto buffer = std::make_unique<char[]>(kCopyBuffer);
  const ssize_t size = RetryInterrupted(::pread, source, buffer.get(), kCopyBuffer, *from);
  if (size <= 0) return size;
  *from += size;
  return WriteAll(to, {buffer.get(), static_cast<size_t>(size)}) == 0 ? size : -1;
}

// Whether a file that was made with this mode in `place` has it. False, too, if that cannot be told.
bool HasMode(QueueDirectory& directory, Place place, int fd, mode_t mode, int64_t opened_ms) {
  if (directory.MadeExactly(place, mode, opened_ms)) return true;
  struct stat info;
  const bool is_exact = FSQ_CALL("enqueue.fstat", ::fstat(fd, &info)) == 0 && (info.st_mode & 07777) == mode;
  directory.NoteLook(place, mode, opened_ms, is_exact);
  return is_exact;
}

}  // namespace

int CreateEmpty(QueueDirectory& directory, const std::string& name, mode_t mode) {
  const int64_t opened_ms = NowMs();
  const Descriptor made(
      FSQ_CALL("enqueue.open", ::openat(directory.fd(Place::kQueue), name.c_str(),
                                        O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode)));
  if (!made.valid()) return -1;
  if (!HasMode(directory, Place::kQueue, made.get(), mode, opened_ms)) {
    // The umask has changed since, or a default ACL applies. Set the mode right now, and build later items
    // the slower way.
    directory.NoteInexactMode();
    (void)RetryInterrupted(::fchmod, made.get(), mode);
  }
  return 0;
}

ItemFile::ItemFile(ItemFile&& other) noexcept
    : directory_(other.directory_),
      descriptor_(std::move(other.descriptor_)),
      mode_(other.mode_),
      opened_ms_(other.opened_ms_),
      durable_(other.durable_),
      unsynced_(other.unsynced_),
      temporary_(std::exchange(other.temporary_, {})) {}

ItemFile& ItemFile::operator=(ItemFile&& other) noexcept {
  if (this != &other) {
    Discard();
    directory_ = other.directory_;
    descriptor_ = std::move(other.descriptor_);
    mode_ = other.mode_;
    opened_ms_ = other.opened_ms_;
    durable_ = other.durable_;
    unsynced_ = other.unsynced_;
    temporary_ = std::exchange(other.temporary_, {});
  }
  return *this;
}

ItemFile::~ItemFile() {
  Discard();
}

void ItemFile::Discard() {
  if (temporary_.empty()) return;
  const int tmp = directory_->fd(Place::kTmp);
  // Tried twice: a name that stays would leak until `fsq repair` removes it, 36 hours later.
  for (int attempt = 0; attempt < 2; attempt++) {
    if (FSQ_CALL("enqueue.unlink", ::unlinkat(tmp, temporary_.c_str(), 0)) == 0 || errno == ENOENT) break;
  }
  temporary_.clear();
}

Failure ItemFile::Open(QueueDirectory& directory, platform::LinkWay way, const std::string& name, mode_t mode,
                       bool durable, ItemFile* file) {
  ItemFile made;
  made.directory_ = &directory;
  made.mode_ = mode;
  made.opened_ms_ = NowMs();
  made.durable_ = durable;
  const int tmp = directory.fd(Place::kTmp);
  if (way != platform::LinkWay::kTemporary) {
    made.descriptor_ = Descriptor(FSQ_CALL("enqueue.open", platform::OpenUnnamed(tmp, mode)));
    if (!made.valid() && errno == ENOTSUP) {
      way = platform::LinkWay::kTemporary;
      directory.set_link_way(way);
    }
  }
  if (way == platform::LinkWay::kTemporary) {
    // After an interruption, EEXIST may mean our own file or another producer's. Leave that file to `fsq
    // repair`, and take another name for the item.
    made.descriptor_ = Descriptor(
        FSQ_CALL("enqueue.open",
                 ::openat(tmp, name.c_str(), O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, mode)));
    if (made.valid()) made.temporary_ = name;
  }
  if (!made.valid()) {
    // For a removed directory, ext4 reports EPERM and other file systems ENOENT.
    if ((errno == ENOENT || errno == EPERM) && directory.Vanished(Place::kTmp)) errno = ESTALE;
    return Failure{LastError(), "open",
                   way == platform::LinkWay::kTemporary ? directory.PathOf(Place::kTmp, name)
                                                        : directory.NameOf(Place::kTmp)};
  }
  *file = std::move(made);
  return {};
}

std::string ItemFile::Path() const {
  return temporary_.empty() ? directory_->NameOf(Place::kTmp) : directory_->PathOf(Place::kTmp, temporary_);
}

Failure ItemFile::Write(const Payload& payload, Stopping stopping) {
  switch (payload.kind) {
    case Payload::Kind::kEmpty:
      return {};
    case Payload::Kind::kPath:
      return CopyPath(payload.path, stopping);
    case Payload::Kind::kDescriptor:
      return CopyLent(payload.descriptor, stopping);
    case Payload::Kind::kDraft:
      return Copy(payload.draft->file.descriptor_.get(), 0, payload.draft->file.Path(), stopping);
    case Payload::Kind::kBytes:
      break;
  }
  for (size_t from = 0; from < payload.bytes.size(); from += kCopyStep) {
    if (stopping.requested()) return Failure{-ECANCELED, "write", Path()};
    const std::string_view step = payload.bytes.substr(from, kCopyStep);
    if (WriteAll(descriptor_.get(), step) == -1) return Failure{LastError(), "write", Path()};
    SyncEarly(step.size());
  }
  return {};
}

Failure ItemFile::Append(std::string_view piece) {
  for (size_t from = 0; from < piece.size(); from += kAppendStep) {
    if (WriteAll(descriptor_.get(), piece.substr(from, kAppendStep)) == -1)
      return Failure{LastError(), "write", Path()};
  }
  SyncEarly(piece.size());
  return {};
}

void ItemFile::SyncEarly(size_t written) {
  if (!durable_) return;
  unsynced_ += written;
  if (unsynced_ < kSyncStep) return;
  unsynced_ = 0;
  StartSync();
}

Failure ItemFile::CopyPath(const std::string& path, Stopping stopping) {
  // O_NONBLOCK: a FIFO without a writer must not block a pool thread forever. The check below rejects it.
  const Descriptor source(
      FSQ_CALL("enqueue.source", ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)));
  if (!source.valid()) return Failure{LastError(), "open", path};
  struct stat info;
  if (RetryInterrupted(::fstat, source.get(), &info) == -1) return Failure{LastError(), "fstat", path};
  if (!S_ISREG(info.st_mode)) return Failure{S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL, "read", path, {}};
  return Copy(source.get(), 0, path, stopping);
}

Failure ItemFile::CopyLent(int source, Stopping stopping) {
  // The copy itself could not tell which descriptor is bad.
  const int flags = FSQ_CALL("enqueue.source", ::fcntl(source, F_GETFL));
  if (flags == -1) return Failure{LastError(), "fcntl", {}, {}};
  if ((flags & O_ACCMODE) == O_WRONLY) return Failure{-EBADF, "read", {}, {}};
  // Copies with an offset of our own: other code may move the offset of the descriptor, and a second attempt
  // must begin where the first one did.
  const off_t from = RetryInterrupted(::lseek, source, 0, SEEK_CUR);
  return from == -1 ? Failure{LastError(), "lseek", {}, {}} : Copy(source, from, {}, stopping);
}

Failure ItemFile::Copy(int source, off_t from, const std::string& path, Stopping stopping) {
  bool in_kernel = true;
  for (;;) {
    if (stopping.requested()) return Failure{-ECANCELED, "copy_file_range", path, Path()};
    const ssize_t copied = FSQ_CALL(
        "enqueue.copy", in_kernel ? platform::CopyInKernel(source, &from, descriptor_.get(), kCopyStep)
                                  : CopyThroughBuffer(source, &from, descriptor_.get()));
    if (copied > 0) {
      SyncEarly(static_cast<size_t>(copied));
      continue;
    }
    if (copied == -1 && in_kernel && errno == ENOTSUP) {
      in_kernel = false;
      continue;
    }
    if (copied == -1) return Failure{LastError(), "copy_file_range", path, Path()};
    // For some files of virtual file systems (/proc), copy_file_range returns 0 although read(2) returns
    // content.
    if (!in_kernel) return {};
    in_kernel = false;
  }
}

Failure ItemFile::SetAttributes(const ItemForm& form, int64_t due_ms) const {
  const int fd = descriptor_.get();
  if (form.has_owner()) {
    const auto user = static_cast<uid_t>(form.user);
    const auto group = static_cast<gid_t>(form.group);
    if (FSQ_CALL("enqueue.chown", ::fchown(fd, user, group)) == -1)
      return Failure{LastError(), "fchown", Path()};
  }
  // The umask and a default ACL applied when the file was created, and fchown clears bits. fstat is cheaper
  // than fchmod, which writes to the journal. A draft that was private until now does not have the mode.
  const bool has_mode = mode_ == form.mode && HasMode(*directory_, Place::kTmp, fd, form.mode, opened_ms_);
  if (!has_mode && FSQ_CALL("enqueue.chmod", ::fchmod(fd, form.mode)) == -1)
    return Failure{LastError(), "fchmod", Path()};
  if (due_ms != 0 && FSQ_CALL("enqueue.utimens", SetDue(fd, due_ms)) == -1) {
    return Failure{LastError(), "futimens", Path()};
  }
  if (due_ms != 0 && directory_->file_system().reach != platform::FileSystem::Reach::kLocal) {
    struct stat info;
    const int looked = FSQ_CALL("enqueue.delayed", ::fstat(fd, &info));
    if (looked == -1) return Failure{LastError(), "fstat", Path()};
    if (FSQ_ANSWER("enqueue.delayed", KeepsDue(info, due_ms)) == 0)
      return Failure{-ENOTSUP, "futimens", Path(), {}};
  }
  return {};
}

Failure ItemFile::Sync(bool write_out) const {
  const int fd = descriptor_.get();
  const int result = FSQ_CALL("enqueue.fsync", write_out ? platform::WriteOut(fd) : platform::SyncFile(fd));
  return result == 0 ? Failure{} : Failure{LastError(), write_out ? "sync_file_range" : "fsync", Path()};
}

int ItemFile::SyncName() const {
  return FSQ_CALL("enqueue.fsyncdir", platform::SyncFile(descriptor_.get()));
}

// An unnamed inode gets names only from us. An inode with a name in tmp/ may also have a link made by a
// backup.
bool ItemFile::IsLinked(const std::string& name) const {
  struct stat own;
  if (RetryInterrupted(::fstat, descriptor_.get(), &own) == -1) return false;
  if (temporary_.empty()) return own.st_nlink > 0;
  struct stat named;
  return LookAt(directory_->fd(Place::kQueue), name, &named) == 0 && IdOf(own) == IdOf(named);
}

int ItemFile::Link(const std::string& name) {
  const int queue = directory_->fd(Place::kQueue);
  const auto link = [&](auto call) { return RetryUnlessMade(call, [&] { return IsLinked(name); }); };
  if (!temporary_.empty()) {
    const int tmp = directory_->fd(Place::kTmp);
    const int linked = link([&] {
      return FSQ_CALL_ONCE("enqueue.link", ::linkat(tmp, temporary_.c_str(), queue, name.c_str(), 0));
    });
    if (linked == -1) return -1;
    Discard();
    return 0;
  }
  platform::LinkWay way = directory_->link_way();
  if (way == platform::LinkWay::kTemporary) way = platform::FirstLinkWay();
  for (;;) {
    const int linked = link([&] {
      return FSQ_CALL_ONCE("enqueue.link",
                           platform::LinkUnnamed(descriptor_.get(), queue, name.c_str(), way));
    });
    if (linked == 0) {
      directory_->set_link_way(way);
      return 0;
    }
    // ENOENT can mean three things: AT_EMPTY_PATH is not permitted (before Linux 6.10), /proc is missing, or
    // queue/ was removed.
    if (errno != ENOENT && errno != EPERM && errno != EINVAL && errno != EACCES) return -1;
    if (directory_->Vanished(Place::kQueue)) {
      errno = ESTALE;
      return -1;
    }
    if (way != platform::LinkWay::kEmptyPath) break;
    way = platform::LinkWay::kProcSelfFd;
  }
  errno = ENOTSUP;
  return -1;
}

}  // namespace fsq
