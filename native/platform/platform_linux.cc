#ifdef __linux__

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "calls/descriptor.h"
#include "calls/failure.h"
#include "calls/fault_point.h"
#include "platform/platform.h"

namespace fsq::platform {

LinkWay FirstLinkWay() {
  return LinkWay::kEmptyPath;
}

int OpenUnnamed(int directory, mode_t mode) {
  // Without O_EXCL, which would make it impossible to link the inode.
  const int fd = RetryInterrupted(::openat, directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  // EISDIR comes from a kernel, EOPNOTSUPP from a file system, that does not know O_TMPFILE.
  if (fd == -1 && (errno == EISDIR || errno == EOPNOTSUPP || errno == EINVAL)) errno = ENOTSUP;
  return fd;
}

static std::array<char, 32> ProcPathOf(int fd) {
  std::array<char, 32> path{"/proc/self/fd/"};
  char* const digits = path.data() + std::strlen(path.data());
  std::to_chars(digits, path.data() + path.size() - 1, fd);
  return path;
}

int LinkUnnamed(int fd, int directory, const char* name, LinkWay way) {
  if (way == LinkWay::kEmptyPath) return ::linkat(fd, "", directory, name, AT_EMPTY_PATH);
  return ::linkat(AT_FDCWD, ProcPathOf(fd).data(), directory, name, AT_SYMLINK_FOLLOW);
}

// Called by number: glibc has renameat2 only from 2.28, and musl has it only recently.
static int Rename2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}

int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to) {
  return Rename2(from_directory, from, to_directory, to, RENAME_NOREPLACE);
}

int RenameExchange(int from_directory, const char* from, int to_directory, const char* to) {
  return Rename2(from_directory, from, to_directory, to, RENAME_EXCHANGE);
}

int Refresh(int directory) {
  // Called by number, with raw bytes for the answer, which is not used: not every libc declares statx.
  constexpr unsigned kBasicStats = 0x7ff;
  alignas(uint64_t) std::array<char, 256> answer;
  return static_cast<int>(
      ::syscall(SYS_statx, directory, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, kBasicStats, answer.data()));
}

int OpenBriefly(int directory, const char* name, int flags, const FileSystem& system) {
  if (system.name != "nfs") return ::openat(directory, name, flags);
  // The client of NFSv4.1 and later wants no delegation of a file that is opened with this flag.
  const int fd = ::openat(directory, name, flags | O_DIRECT);
  if (fd == -1) return errno == EINVAL ? ::openat(directory, name, flags) : -1;
  // Reads must need no alignment.
  (void)RetryInterrupted(::fcntl, fd, F_SETFL, flags & O_NONBLOCK);
  return fd;
}

ssize_t ReadUncached(int fd, char* buffer, size_t size) {
  const int flags = RetryInterrupted(::fcntl, fd, F_GETFL);
  if (flags == -1) return -1;
  // Some file systems refuse the flag, others the read: these get a plain read.
  if ((flags & O_DIRECT) != 0 || RetryInterrupted(::fcntl, fd, F_SETFL, flags | O_DIRECT) == 0) {
    const ssize_t got = RetryInterrupted(::pread, fd, buffer, size, off_t{0});
    if (got != -1 || errno != EINVAL) return got;
    if (RetryInterrupted(::fcntl, fd, F_SETFL, flags & ~O_DIRECT) == -1) return -1;
  }
  return RetryInterrupted(::pread, fd, buffer, size, off_t{0});
}

int64_t SleepingClockNs() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

uint64_t RandomNumber() {
  uint64_t number = 0;
  // Called by number: glibc has getrandom only from 2.25.
  if (RetryInterrupted(::syscall, SYS_getrandom, &number, sizeof number, 0) == sizeof number) return number;
  // A kernel before 3.17, or a sandbox that does not know the call.
  number = static_cast<uint64_t>(SleepingClockNs()) ^ static_cast<uint64_t>(::getpid()) * 0x9E3779B97F4A7C15u;
  return number ^ reinterpret_cast<uintptr_t>(&number);
}

int64_t Sleeps() {
  rusage usage{};
  return ::getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : -1;
}

int SyncFile(int fd) {
  return RetryInterrupted(::fsync, fd);
}
int SyncDirectory(int fd) {
  return RetryInterrupted(::fsync, fd);
}

void StartWriteback(int fd) {
  (void)RetryInterrupted(::sync_file_range, fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int WriteOut(int fd) {
  return RetryInterrupted(::sync_file_range, fd, 0, 0,
                          SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

// ext2 and ext3 share the magic number, and only the options of the mount show its journal mode. The kernel
// prints "fc_debug_force" if the file system has fast commits.
static bool IsOrderedExt4(dev_t device) {
  std::array<char, 64> link;
  std::snprintf(link.data(), link.size(), "/sys/dev/block/%u:%u", major(device), minor(device));
  std::array<char, PATH_MAX> target;
  const ssize_t length = RetryInterrupted(::readlink, link.data(), target.data(), target.size());
  if (length <= 0 || static_cast<size_t>(length) == target.size()) return false;
  const std::string_view place(target.data(), static_cast<size_t>(length));
  const std::string path = "/proc/fs/ext4/" + std::string(place.substr(place.rfind('/') + 1)) + "/options";
  const Descriptor file(RetryInterrupted(::open, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return false;
  std::array<char, 4096> text;
  const ssize_t size = RetryInterrupted(::read, file.get(), text.data(), text.size());
  if (size <= 0 || static_cast<size_t>(size) == text.size()) return false;
  const std::string_view options(text.data(), static_cast<size_t>(size));
  const auto has = [&](std::string_view option) { return options.find(option) != std::string_view::npos; };
  return has("\ndata=ordered\n") && !has("fast_commit") && !has("fc_debug_force");
}

bool WritesOut(int directory, const FileSystem& system) {
  if (system.name == "xfs") return true;
  struct stat info;
  return system.name == "ext4" && RetryInterrupted(::fstat, directory, &info) == 0 &&
         IsOrderedExt4(info.st_dev);
}

// EXDEV: the files are on two file systems.
static bool CannotCopy() {
  return errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM;
}

ssize_t CopyInKernel(int source, off_t* offset, int to, size_t length) {
  loff_t position = *offset;
  ssize_t copied = RetryInterrupted(::copy_file_range, source, &position, to, nullptr, length, 0u);
  *offset = static_cast<off_t>(position);
  if (copied != -1 || !CannotCopy()) return copied;
  // Between two file systems. It takes 15 to 25 % less time than a copy through memory of this process.
  copied = RetryInterrupted(::sendfile, to, source, offset, length);
  if (copied == -1 && CannotCopy()) errno = ENOTSUP;
  return copied;
}

// Uses an open file description of its own, because O_NONBLOCK applies to every process that shares one.
static ssize_t ReadReopened(int fd, char* buffer, size_t size) {
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  const Descriptor own(RetryInterrupted([&] { return ::open(ProcPathOf(fd).data(), kFlags); }));
  if (own.valid()) return RetryInterrupted(::read, own.get(), buffer, size);
  errno = ENOTSUP;
  return -1;
}

// Called by number: glibc has preadv2 only from 2.26, and musl has it only recently. Pipes support the flag
// from Linux 6.4.
ssize_t ReadWithoutWaiting(int fd, char* buffer, size_t size) {
  constexpr int kNoWait = 8;             // RWF_NOWAIT
  constexpr long kCurrentPosition = -1;  // split into two halves
  const iovec into{buffer, size};
  const long got = RetryInterrupted(::syscall, SYS_preadv2, long{fd}, &into, 1L, kCurrentPosition,
                                    kCurrentPosition, kNoWait);
  // EOPNOTSUPP: a named FIFO or a terminal. ENOSYS, EINVAL: an older kernel. EPERM: a sandbox that does not
  // know the call.
  if (got == -1 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == EPERM))
    return ReadReopened(fd, buffer, size);
  return got;
}

namespace {

struct KnownFileSystem {
  uint32_t type;  // f_type of statfs(2); not all of them are in linux/magic.h
  const char* name;
  FileSystem::Reach reach;
};

constexpr auto kLocal = FileSystem::Reach::kLocal;
constexpr auto kNetwork = FileSystem::Reach::kNetwork;

// Shared folders of virtual machines (9p and the like) count as network, because their host changes them,
// too.
constexpr KnownFileSystem kFileSystems[] = {
    {0x0000ef53, "ext4", kLocal},       {0x58465342, "xfs", kLocal},
    {0x9123683e, "btrfs", kLocal},      {0x01021994, "tmpfs", kLocal},
    {0x794c7630, "overlay", kLocal},    {0x2fc12fc1, "zfs", kLocal},
    {0xf2f52010, "f2fs", kLocal},       {0xca451a4e, "bcachefs", kLocal},
    {0x858458f6, "ramfs", kLocal},      {0x00004d44, "vfat", kLocal},
    {0x2011bab0, "exfat", kLocal},      {0x7366746e, "ntfs3", kLocal},
    {0x5346544e, "ntfs", kLocal},       {0x0000f15f, "ecryptfs", kLocal},
    {0x3153464a, "jfs", kLocal},        {0x00003434, "nilfs2", kLocal},
    {0x52654973, "reiserfs", kLocal},   {0x00006969, "nfs", kNetwork},
    {0xff534d42, "cifs", kNetwork},     {0xfe534d42, "smb2", kNetwork},
    {0x0000517b, "smbfs", kNetwork},    {0x00c36400, "ceph", kNetwork},
    {0x5346414f, "afs", kNetwork},      {0x6b414653, "afs", kNetwork},
    {0x0bd00bd0, "lustre", kNetwork},   {0x01161970, "gfs2", kNetwork},
    {0x7461636f, "ocfs2", kNetwork},    {0x47504653, "gpfs", kNetwork},
    {0x19830326, "beegfs", kNetwork},   {0xaad7aaea, "panfs", kNetwork},
    {0x61636673, "acfs", kNetwork},     {0xbeefdead, "snfs", kNetwork},
    {0x20030528, "orangefs", kNetwork}, {0x73757245, "coda", kNetwork},
    {0x0000564c, "ncpfs", kNetwork},    {0x01021997, "9p", kNetwork},
    {0x786f4256, "vboxsf", kNetwork},   {0xbacbacbc, "vmhgfs", kNetwork},
    {0x7c7c6673, "prl_fs", kNetwork},   {0x65735546, "fuse", FileSystem::Reach::kUnknown},
};

}  // namespace

int FindFileSystem(int fd, FileSystem* found) {
  struct statfs info;
  if (FSQ_CALL("open.fstatfs", ::fstatfs(fd, &info)) == -1) return -1;
  const auto type = static_cast<uint32_t>(FSQ_ANSWER("open.fstatfs", info.f_type));
  const auto* const known = std::find_if(std::begin(kFileSystems), std::end(kFileSystems),
                                         [&](const KnownFileSystem& one) { return one.type == type; });
  if (known != std::end(kFileSystems)) {
    *found = {known->name, known->reach};
    return 0;
  }
  std::array<char, 16> digits{"0x"};
  std::to_chars(digits.data() + 2, digits.data() + digits.size() - 1, type, 16);
  *found = {digits.data(), FileSystem::Reach::kUnknown};
  return 0;
}

int ReadNextEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit) {
  // The kernel's own record (struct linux_dirent64), which no libc header spells out.
  struct Record {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    unsigned char type;
    char name[];
  };
  // A large buffer: one call returns about 1,500 names. glibc's readdir uses 32 KiB and copies each entry.
  constexpr size_t kBuffer = 64 * 1024;
  const auto buffer = std::make_unique<uint64_t[]>(kBuffer / sizeof(uint64_t));
  const long size = FSQ_CALL(
      "list.getdents", ::syscall(SYS_getdents64, directory, buffer.get(), static_cast<unsigned>(kBuffer)));
  if (size <= 0) return static_cast<int>(size);
  const char* const bytes = reinterpret_cast<const char*>(buffer.get());
  for (long at = 0; at < size;) {
    const auto* record = reinterpret_cast<const Record*>(bytes + at);
    at += record->length;
    const std::string_view name(record->name);
    if (name == "." || name == ".." || IsDeleted(name)) continue;
    const auto type = static_cast<unsigned char>(FSQ_ANSWER("list.getdents", record->type));
    if (!visit({name, TypeOfEntry(type), static_cast<ino_t>(record->inode)})) return 0;
  }
  return 1;
}

int ReadEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit) {
  for (;;) {
    const int result = ReadNextEntries(directory, visit);
    if (result != 1) return result;
  }
}

int OpenWatcher() {
  return RetryInterrupted(::inotify_init1, IN_NONBLOCK | IN_CLOEXEC);
}

int AddWatch(int watcher, const char* directory, bool files) {
  // While a directory is open, removing its name does not delete it yet, so IN_DELETE_SELF comes late. Its
  // parent reports the removal at once.
  const uint32_t own = files ? IN_CLOSE | IN_ATTRIB : IN_DELETE | IN_MOVED_FROM;
  const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | own;
  // IN_MASK_ADD: another watch of this process may already watch the directory for more events.
  return RetryInterrupted(::inotify_add_watch, watcher, directory, mask | IN_ONLYDIR | IN_MASK_ADD);
}

std::string PathOfOpen(int directory, std::string) {
  return "/proc/self/fd/" + std::to_string(directory);
}

void RemoveWatch(int watcher, int watch) {
  (void)RetryInterrupted(::inotify_rm_watch, watcher, watch);  // EINVAL: the kernel removed the watch
                                                               // together with its directory
}

int ReadWatcher(int watcher, const std::function<void(const WatchEvent&)>& visit) {
  constexpr uint32_t kGone =
      IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;
  constexpr size_t kBuffer = 16 * 1024;
  constexpr size_t kLargest = sizeof(inotify_event) + NAME_MAX + 1;
  alignas(inotify_event) std::array<char, kBuffer> buffer;
  for (;;) {
    const ssize_t size = FSQ_CALL("watch.read", ::read(watcher, buffer.data(), buffer.size()));
    if (size <= 0) return size == 0 || errno == EAGAIN ? 0 : -1;
    for (size_t at = 0; at < static_cast<size_t>(size);) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += sizeof(inotify_event) + event->len;
      const bool is_directory = (event->mask & IN_ISDIR) != 0;
      visit({.watch = event->wd,
             .created = (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0,
             .touched = !is_directory && (event->mask & IN_ATTRIB) != 0,
             // Listing a directory closes it; that is no event about an item.
             .closed = !is_directory && (event->mask & IN_CLOSE) != 0,
             .gone = (event->mask & kGone) != 0,
             .lost = (event->mask & IN_Q_OVERFLOW) != 0,
             .name = event->len == 0 ? std::string_view() : std::string_view(event->name)});
    }
    // There was room for one more event, so this was the last one.
    if (static_cast<size_t>(size) + kLargest <= kBuffer) return 0;
  }
}

int OpenPipe(int ends[2]) {
  return RetryInterrupted(::pipe2, ends, O_NONBLOCK | O_CLOEXEC);
}

void StayLoaded() {
  // Nothing to do: the linker option -z nodelete does this.
}

int Umask() {
  // umask(2) can be read only by changing it, and another thread could be creating a file at that moment.
  const Descriptor status(RetryInterrupted(::open, "/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!status.valid()) return -1;
  std::array<char, 1024> text;
  const ssize_t size = RetryInterrupted(::read, status.get(), text.data(), text.size());
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
