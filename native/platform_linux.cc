#ifdef __linux__

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "descriptor.h"
#include "failure.h"
#include "fault_point.h"
#include "platform.h"

namespace fsq::platform {

LinkWay FirstLinkWay() {
  return LinkWay::kEmptyPath;
}

int OpenUnnamed(int directory, mode_t mode) {
  // Without O_EXCL: with it the inode could never be linked.
  const int fd = ::openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  // EISDIR: a kernel, EOPNOTSUPP: a file system that does not know O_TMPFILE.
  if (fd == -1 && (errno == EISDIR || errno == EOPNOTSUPP || errno == EINVAL)) errno = ENOTSUP;
  return fd;
}

int LinkUnnamed(int fd, int directory, const char* name, LinkWay way) {
  if (way == LinkWay::kEmptyPath) return ::linkat(fd, "", directory, name, AT_EMPTY_PATH);
  std::array<char, 32> path{"/proc/self/fd/"};
  char* const digits = path.data() + std::strlen(path.data());
  std::to_chars(digits, path.data() + path.size() - 1, fd);
  return ::linkat(AT_FDCWD, path.data(), directory, name, AT_SYMLINK_FOLLOW);
}

// By number: glibc has renameat2 from 2.28 only, and musl only lately.
static int Rename2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to) {
  return Rename2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int RenameExchange(int from_directory, const char* from, int to_directory, const char* to) {
  return Rename2(from_directory, from, to_directory, to, RENAME_EXCHANGE);
}

int SyncFile(int fd) {
  return ::fsync(fd);
}
int SyncDirectory(int fd) {
  return ::fsync(fd);
}

void StartWriteback(int fd) {
  (void)::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

ssize_t CopyInKernel(int from, int to, size_t length) {
  const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, length, 0);
  if (copied == -1 &&
      (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM)) {
    errno = ENOTSUP;
  }
  return copied;
}

int ReadEntries(int directory, const std::function<void(const DirectoryEntry&)>& visit) {
  // The kernel's own record (struct linux_dirent64), which no libc header spells out.
  struct Record {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    unsigned char type;
    char name[];
  };
  // Big: one call for some 1,500 names; glibc's readdir takes 32 KiB and copies each.
  constexpr size_t kBuffer = 64 * 1024;
  const auto buffer = std::make_unique<uint64_t[]>(kBuffer / sizeof(uint64_t));
  for (;;) {
    const long size = FSQ_CALL(
        "list.getdents", ::syscall(SYS_getdents64, directory, buffer.get(), static_cast<unsigned>(kBuffer)));
    if (size < 0) return -1;
    if (size == 0) return 0;
    const char* const bytes = reinterpret_cast<const char*>(buffer.get());
    for (long at = 0; at < size;) {
      const auto* record = reinterpret_cast<const Record*>(bytes + at);
      at += record->length;
      const std::string_view name(record->name);
      if (name != "." && name != "..")
        visit({name, TypeOfEntry(record->type), static_cast<ino_t>(record->inode)});
    }
  }
}

int OpenWatcher() {
  return ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

int AddWatch(int watcher, const char* directory, bool closes) {
  const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | (closes ? IN_CLOSE : 0);
  // IN_MASK_ADD: somebody of this process may watch the directory for more.
  return ::inotify_add_watch(watcher, directory, mask | IN_ONLYDIR | IN_MASK_ADD);
}

void RemoveWatch(int watcher, int watch) {
  (void)::inotify_rm_watch(watcher, watch);  // EINVAL: it went with its directory
}

int ReadWatcher(int watcher, const std::function<void(const WatchEvent&)>& visit) {
  constexpr size_t kBuffer = 16 * 1024;
  alignas(inotify_event) std::array<char, kBuffer> buffer;
  for (;;) {
    const ssize_t size = RetryInterrupted(
        [&] { return FSQ_CALL("watch.read", ::read(watcher, buffer.data(), buffer.size())); });
    if (size <= 0) return size == 0 || errno == EAGAIN ? 0 : -1;
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof(inotify_event) + event->len;
      const bool is_directory = (event->mask & IN_ISDIR) != 0;
      visit({.watch = event->wd,
             .created = (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0,
             // Whoever lists a directory closes it.
             .closed = !is_directory && (event->mask & IN_CLOSE) != 0,
             .gone = (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0,
             .lost = (event->mask & IN_Q_OVERFLOW) != 0,
             .name = event->len == 0 ? std::string_view() : std::string_view(event->name)});
    }
  }
}

int OpenPipe(int ends[2]) {
  return ::pipe2(ends, O_NONBLOCK | O_CLOEXEC);
}

int Umask() {
  // umask(2) can only be read by changing it, which another thread would notice.
  const Descriptor status(::open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!status.valid()) return -1;
  std::array<char, 1024> text;
  const ssize_t size = RetryInterrupted([&] { return ::read(status.get(), text.data(), text.size()); });
  if (size <= 0) return -1;
  const std::string_view all(text.data(), static_cast<size_t>(size));
  constexpr std::string_view kLabel = "\nUmask:\t";
  const size_t at = all.find(kLabel);
  if (at == std::string_view::npos) return -1;
  int mask = -1;
  const char* const digits = all.data() + at + kLabel.size();
  const auto parsed = std::from_chars(digits, all.data() + all.size(), mask, 8);
  return parsed.ec == std::errc() ? mask : -1;
}

const timespec& ModifiedAt(const struct stat& info) {
  return info.st_mtim;
}
const timespec& ChangedAt(const struct stat& info) {
  return info.st_ctim;
}

}  // namespace fsq::platform

#endif
