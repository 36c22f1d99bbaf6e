#ifdef __linux__

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

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

int WriteOut(int fd) {
  return ::sync_file_range(fd, 0, 0,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

// ext2 and ext3 have the same magic, and only the mount's own options tell of its journal. "fc_debug_force"
// is how the kernel prints that the file system has fast commits.
static bool IsOrderedExt4(dev_t device) {
  std::array<char, 64> link;
  std::snprintf(link.data(), link.size(), "/sys/dev/block/%u:%u", major(device), minor(device));
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlink(link.data(), target.data(), target.size());
  if (length <= 0 || static_cast<size_t>(length) == target.size()) return false;
  const std::string_view place(target.data(), static_cast<size_t>(length));
  const std::string path = "/proc/fs/ext4/" + std::string(place.substr(place.rfind('/') + 1)) + "/options";
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return false;
  std::array<char, 4096> text;
  const ssize_t size = RetryInterrupted([&] { return ::read(file.get(), text.data(), text.size()); });
  if (size <= 0 || static_cast<size_t>(size) == text.size()) return false;
  const std::string_view options(text.data(), static_cast<size_t>(size));
  const auto has = [&](std::string_view option) { return options.find(option) != std::string_view::npos; };
  return has("\ndata=ordered\n") && !has("fast_commit") && !has("fc_debug_force");
}

bool WritesOut(int directory) {
  struct statfs system;
  if (::fstatfs(directory, &system) == -1) return false;
  if (system.f_type == XFS_SUPER_MAGIC) return true;
  struct stat info;
  return system.f_type == EXT4_SUPER_MAGIC && ::fstat(directory, &info) == 0 && IsOrderedExt4(info.st_dev);
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
