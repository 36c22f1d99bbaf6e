#include "calls.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>

#ifdef __linux__
#include <linux/fs.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

namespace fsq_floor {

#ifdef __linux__

int OpenUnnamed(int directory, mode_t mode) {
  const int fd = ::openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
  if (fd == -1 && (errno == EISDIR || errno == EOPNOTSUPP || errno == EINVAL)) errno = ENOTSUP;
  return fd;
}

int LinkUnnamed(int fd, int directory, const char* name) {
  // Before Linux 6.10 only a privileged process may do this; determined once.
  static std::atomic<bool> by_empty_path{true};
  if (by_empty_path.load(std::memory_order_relaxed)) {
    const int result = ::linkat(fd, "", directory, name, AT_EMPTY_PATH);
    if (result == 0 || (errno != ENOENT && errno != EPERM)) return result;
    by_empty_path.store(false, std::memory_order_relaxed);
  }
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return ::linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
}

int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to) {
  return static_cast<int>(::syscall(SYS_renameat2, from_directory, from, to_directory, to, RENAME_NOREPLACE));
}

bool SyncsByRange(int directory) {
  constexpr long kExt4 = 0xef53;
  constexpr long kXfs = 0x58465342;
  struct statfs info;
  Check(::fstatfs(directory, &info), "fstatfs");
  return info.f_type == kExt4 || info.f_type == kXfs;
}

int StartWriteback(int fd) {
  return ::sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int FinishWriteback(int fd) {
  return ::sync_file_range(fd, 0, 0,
                           SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

int Sync(int fd) {
  return ::fsync(fd);
}

void EndWithParent() {
  Check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
}

#else

int OpenUnnamed(int, mode_t) {
  errno = ENOTSUP;
  return -1;
}
int LinkUnnamed(int, int, const char*) {
  errno = ENOTSUP;
  return -1;
}
int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to) {
  return ::renameatx_np(from_directory, from, to_directory, to, RENAME_EXCL);
}
bool SyncsByRange(int) {
  return false;
}
int StartWriteback(int) {
  return 0;
}
int FinishWriteback(int) {
  return 0;
}
int Sync(int fd) {
  return ::fcntl(fd, F_FULLFSYNC);
}
void EndWithParent() {}

#endif

double Now() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void Die(const char* what, const char* name) {
  fprintf(stderr, "floor: %s %s: %s\n", what, name, strerror(errno));
  ::_exit(1);
}

Descriptor::~Descriptor() {
  if (fd_ != -1) ::close(fd_);
}

int OpenDirectory(const char* queue, const char* name) {
  const std::string path = std::string(queue) + "/" + name;
  return Check(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", path.c_str());
}

}  // namespace fsq_floor
