#ifdef __APPLE__

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "calls/fault_point.h"
#include "platform/platform.h"

namespace fsq::platform {

LinkWay FirstLinkWay() {
  return LinkWay::kTemporary;
}

int OpenUnnamed(int, mode_t) {
  errno = ENOTSUP;
  return -1;
}

int LinkUnnamed(int, int, const char*, LinkWay) {
  errno = ENOTSUP;
  return -1;
}

static int RenameWith(int from_directory, const char* from, int to_directory, const char* to,
                      unsigned flags) {
  const int result = ::renameatx_np(from_directory, from, to_directory, to, flags);
  if (result == -1 && errno == ENOTSUP) errno = EINVAL;
  return result;
}

int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to) {
  return RenameWith(from_directory, from, to_directory, to, RENAME_EXCL);
}

int RenameExchange(int from_directory, const char* from, int to_directory, const char* to) {
  return RenameWith(from_directory, from, to_directory, to, RENAME_SWAP);
}

// macOS has no such call; fstat(2) asks the server only when the cached attributes have expired.
int Refresh(int directory) {
  struct stat info;
  return RetryInterrupted(::fstat, directory, &info);
}

int OpenBriefly(int directory, const char* name, int flags, const FileSystem&) {
  return ::openat(directory, name, flags);
}

// On macOS fsync(2) leaves the data in the drive's cache. F_FULLFSYNC flushes it, if the file system supports
// that.
int SyncFile(int fd) {
  if (RetryInterrupted(::fcntl, fd, F_FULLFSYNC) == 0) return 0;
  if (RetryInterrupted(::fcntl, fd, F_BARRIERFSYNC) == 0) return 0;
  return RetryInterrupted(::fsync, fd);
}

int SyncDirectory(int fd) {
  return SyncFile(fd);
}

void StartWriteback(int) {}

int WriteOut(int fd) {
  return SyncFile(fd);
}

ssize_t ReadUncached(int fd, char* buffer, size_t size) {
  (void)RetryInterrupted(::fcntl, fd, F_NOCACHE, 1);
  return RetryInterrupted(::pread, fd, buffer, size, off_t{0});
}

int64_t SleepingClockNs() {
  timespec now{};
  // On macOS this clock goes on while the machine sleeps.
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

uint64_t RandomNumber() {
  uint64_t number = 0;
  ::arc4random_buf(&number, sizeof number);
  return number;
}

int64_t Sleeps() {
  return -1;
}

bool WritesOut(int, const FileSystem&) {
  return false;
}

ssize_t CopyInKernel(int, off_t*, int, size_t) {
  errno = ENOTSUP;
  return -1;
}

ssize_t ReadWithoutWaiting(int, char*, size_t) {
  errno = ENOTSUP;
  return -1;
}

int FindFileSystem(int fd, FileSystem* found) {
  struct statfs info;
  if (FSQ_CALL("open.fstatfs", ::fstatfs(fd, &info)) == -1) return -1;
  found->name = info.f_fstypename;
  found->reach = (FSQ_ANSWER("open.fstatfs", info.f_flags) & MNT_LOCAL) != 0 ? FileSystem::Reach::kLocal
                                                                             : FileSystem::Reach::kNetwork;
  return 0;
}

int ReadEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit) {
  const int own = RetryInterrupted(::dup, directory);
  if (own == -1) return -1;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own), ::closedir);
  if (!stream) {
    const int saved = errno;
    ::close(own);
    errno = saved;
    return -1;
  }
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr && errno == EINTR) continue;
    if (entry == nullptr) return errno == 0 ? 0 : -1;
    const std::string_view name(entry->d_name, entry->d_namlen);
    if (name == "." || name == ".." || IsDeleted(name)) continue;
    if (!visit({name, TypeOfEntry(entry->d_type), entry->d_ino})) return 0;
  }
}

int ReadNextEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit) {
  return ReadEntries(directory, visit);
}

int OpenWatcher() {
  const int watcher = RetryInterrupted(::kqueue);
  if (watcher >= 0) (void)RetryInterrupted(::fcntl, watcher, F_SETFD, FD_CLOEXEC);
  return watcher;
}

// The number of a watch is the descriptor of its directory.
int AddWatch(int watcher, const char* directory, bool) {
  Descriptor watched(RetryInterrupted(::open, directory, O_EVTONLY | O_DIRECTORY | O_CLOEXEC));
  if (!watched.valid()) return -1;
  struct kevent change;
  EV_SET(&change, static_cast<uintptr_t>(watched.get()), EVFILT_VNODE, EV_ADD | EV_CLEAR,
         NOTE_WRITE | NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE, 0, nullptr);
  if (RetryInterrupted(::kevent, watcher, &change, 1, nullptr, 0, nullptr) == -1) return -1;
  return watched.Release();
}

std::string PathOfOpen(int, std::string path) {
  return path;
}

void RemoveWatch(int, int watch) {
  ::close(watch);
}

int ReadWatcher(int watcher, const std::function<void(const WatchEvent&)>& visit) {
  constexpr int kEvents = 32;
  std::array<struct kevent, kEvents> events;
  const timespec now{};
  for (;;) {
    const int count = RetryInterrupted(::kevent, watcher, nullptr, 0, events.data(), kEvents, &now);
    if (count <= 0) return count;
    for (int at = 0; at < count; at++) {
      const auto& event = events[static_cast<size_t>(at)];
      visit({.watch = static_cast<int>(event.ident),
             .created = (event.fflags & NOTE_WRITE) != 0,
             .gone = (event.fflags & (NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE)) != 0});
    }
  }
}

int OpenPipe(int ends[2]) {
  if (RetryInterrupted(::pipe, ends) == -1) return -1;
  for (int at = 0; at < 2; at++) {
    (void)RetryInterrupted(::fcntl, ends[at], F_SETFD, FD_CLOEXEC);
    (void)RetryInterrupted(::fcntl, ends[at], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

void StayLoaded() {
  Dl_info own;
  if (::dladdr(reinterpret_cast<const void*>(&StayLoaded), &own) == 0) return;
  // Deliberately never closed.
  (void)::dlopen(own.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

int Umask() {
  return -1;
}

const timespec& ModifiedAt(const struct stat& info) {
  return info.st_mtimespec;
}
const timespec& ChangedAt(const struct stat& info) {
  return info.st_ctimespec;
}

}  // namespace fsq::platform

#endif
