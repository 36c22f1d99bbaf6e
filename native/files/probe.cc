#include "files/probe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "files/due_time.h"
#include "files/file_info.h"
#include "files/file_lock.h"
#include "platform/platform.h"

namespace fsq {
namespace {

constexpr char kOne[] = "one";
constexpr char kTwo[] = "two";
constexpr char kContent[] = "fsq";
constexpr ssize_t kContentSize = sizeof kContent - 1;
constexpr int64_t kHourMs = 3'600'000;

// Errors that may be gone in a minute, on the same file system.
bool IsOfTheMoment(int error) {
  constexpr std::array kErrors = {EMFILE, ENFILE, ENOSPC, EDQUOT, ENOMEM, EIO};
  return std::find(kErrors.begin(), kErrors.end(), error) != kErrors.end();
}

// The methods return 0 or -1 with errno, as system calls do, or kNoEffect.
class Prober {
 public:
  Prober(const std::string& path, ProbeResult* result) : path_(path), result_(*result) {}

  Failure Run();

 private:
  Failure Prepare();
  Descriptor Open(const char* name, int flags) const;
  int Make(const char* name) const;
  bool Look(const char* name, struct stat* info) const;
  template <typename Call>
  int MakeOnce(const char* name, Call call) const;
  template <typename Try>
  void Add(const char* name, const char* syscall, Try attempt);

  int Unnamed();
  int LinkUnnamed(const char* point, const char* name, platform::LinkWay way) const;
  int HardLink() const;
  int RenameExclusive() const;
  int RenameExchange() const;
  int Lock(const char* point, LockKind kind) const;
  int Delay() const;
  int64_t TimestampStep() const;
  int Modes() const;
  int Fifo() const;
  int CopyInKernel() const;
  int CaseSensitive() const;

  const std::string& path_;
  ProbeResult& result_;
  Descriptor directory_;
  Descriptor unnamed_;
  Failure failure_;
};

Descriptor Prober::Open(const char* name, int flags) const {
  Descriptor opened(RetryInterrupted(::openat, directory_.get(), name, flags | O_NOFOLLOW | O_CLOEXEC, 0600));
  // Set the mode despite the umask. On a file system without modes this fails, and the mount options decide
  // who may open the file.
  if (opened.valid() && (flags & O_CREAT) != 0) (void)RetryInterrupted(::fchmod, opened.get(), mode_t{0600});
  return opened;
}

int Prober::Make(const char* name) const {
  return Open(name, O_CREAT | O_WRONLY).valid() ? 0 : -1;
}

bool Prober::Look(const char* name, struct stat* info) const {
  return LookAt(directory_.get(), name, info) == 0;
}

// No other process creates files in this directory. A name that exists after an interrupted call was made by
// that call.
template <typename Call>
int Prober::MakeOnce(const char* name, Call call) const {
  return RetryUnlessMade(call, [&] {
    struct stat info;
    return Look(name, &info);
  });
}

template <typename Try>
void Prober::Add(const char* name, const char* syscall, Try attempt) {
  if (failure_) return;
  const int outcome = attempt();
  if (outcome == -1 && IsOfTheMoment(errno)) {
    failure_ = Failure{LastError(), syscall, path_};
    return;
  }
  result_.features.push_back({name, outcome == -1 ? LastError() : outcome});
}

// Creates the files that the other tests use. If this fails, the directory cannot be probed.
Failure Prober::Prepare() {
  directory_ = Descriptor(
      FSQ_CALL("probe.open", ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
  if (!directory_.valid()) return Failure{LastError(), "open", path_};
  struct stat info;
  if (RetryInterrupted(::fstat, directory_.get(), &info) == -1) return Failure{LastError(), "fstat", path_};
  result_.device = info.st_dev;
  const long name_max = RetryInterrupted(::fpathconf, directory_.get(), _PC_NAME_MAX);
  if (name_max > 0) result_.name_max = name_max;
  const Descriptor one = Open(kOne, O_CREAT | O_RDWR);
  if (!one.valid() || Make(kTwo) == -1) return Failure{LastError(), "openat", path_};
  const ssize_t written = FSQ_CALL("probe.write", ::write(one.get(), kContent, kContentSize));
  return written == -1 ? Failure{LastError(), "write", path_} : Failure{};
}

int Prober::Unnamed() {
  unnamed_ = Descriptor(FSQ_CALL("probe.unnamed", platform::OpenUnnamed(directory_.get(), 0600)));
  return unnamed_.valid() ? 0 : -1;
}

int Prober::LinkUnnamed(const char* point, const char* name, platform::LinkWay way) const {
  (void)point;
  if (!unnamed_.valid()) {
    errno = ENOTSUP;
    return -1;
  }
  return MakeOnce(name, [&] {
    return FSQ_CALL_ONCE(point, platform::LinkUnnamed(unnamed_.get(), directory_.get(), name, way));
  });
}

int Prober::HardLink() const {
  const int fd = directory_.get();
  const int made =
      MakeOnce("linked", [&] { return FSQ_CALL_ONCE("probe.link", ::linkat(fd, kOne, fd, "linked", 0)); });
  if (made == -1) return -1;
  struct stat one;
  struct stat linked;
  return Look(kOne, &one) && Look("linked", &linked) && IdOf(one) == IdOf(linked) ? 0 : Feature::kNoEffect;
}

int Prober::RenameExclusive() const {
  const int fd = directory_.get();
  if (Make("to-rename") == -1) return -1;
  if (FSQ_CALL("probe.exclusive", platform::RenameExclusive(fd, "to-rename", fd, kTwo)) == 0)
    return Feature::kNoEffect;
  if (errno != EEXIST) return -1;
  return MakeOnce("renamed", [&] { return platform::RenameExclusive(fd, "to-rename", fd, "renamed"); });
}

int Prober::RenameExchange() const {
  const int fd = directory_.get();
  struct stat one;
  if (!Look(kOne, &one)) return -1;
  struct stat two;
  const int exchanged = RetryUnlessMade(
      [&] { return FSQ_CALL_ONCE("probe.exchange", platform::RenameExchange(fd, kOne, fd, kTwo)); },
      [&] { return Look(kTwo, &two) && IdOf(two) == IdOf(one); });
  if (exchanged == -1) return -1;
  if (!Look(kTwo, &two)) return -1;
  return IdOf(two) == IdOf(one) ? 0 : Feature::kNoEffect;
}

// Two open file descriptions of one file, as two workers have them. Opened as workers open it: over NFS, an
// exclusive flock fails on a file that is open for reading only.
int Prober::Lock(const char* point, LockKind kind) const {
  (void)point;
  const Descriptor first = Open(kOne, AccessFor(kind));
  const Descriptor second = Open(kOne, AccessFor(kind));
  if (!first.valid() || !second.valid()) return -1;
  if (FSQ_CALL(point, TryLock(first.get(), kind)) == -1) return -1;
  if (FSQ_ANSWER(point, TryLock(second.get(), kind)) == 0) return Feature::kNoEffect;
  if (errno != EAGAIN) return -1;
  if (Unlock(first.get(), kind) == -1) return -1;
  return TryLock(second.get(), kind);
}

// A delayed item is one whose mtime is after its ctime and in the future.
int Prober::Delay() const {
  const Descriptor file = Open(kTwo, O_WRONLY);
  if (!file.valid()) return -1;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (FSQ_CALL("probe.utimens", SetDue(file.get(), int64_t{now.tv_sec} * 1000 + kHourMs)) == -1) return -1;
  struct stat info;
  if (RetryInterrupted(::fstat, file.get(), &info) == -1) return -1;
  return platform::ModifiedAt(info).tv_sec > platform::ChangedAt(info).tv_sec ? 0 : Feature::kNoEffect;
}

// Sets a time that every resolution but the finest truncates differently. 0: unknown.
int64_t Prober::TimestampStep() const {
  const Descriptor file = Open(kTwo, O_WRONLY);
  constexpr timespec kTime{1'000'000'001, 123'456'789};
  const timespec times[2] = {{0, UTIME_NOW}, kTime};  // not UTIME_OMIT: see SetDue
  struct stat info;
  if (!file.valid() || RetryInterrupted(::futimens, file.get(), times) == -1 ||
      RetryInterrupted(::fstat, file.get(), &info) == -1) {
    return 0;
  }
  const timespec kept = platform::ModifiedAt(info);
  if (kept.tv_sec != kTime.tv_sec) return 2'000'000'000;
  for (const int64_t step : {1, 100, 1000, 1'000'000, 10'000'000}) {
    if (kept.tv_nsec == kTime.tv_nsec / step * step) return step;
  }
  return 1'000'000'000;
}

int Prober::Modes() const {
  const Descriptor file = Open(kTwo, O_WRONLY);
  if (!file.valid()) return -1;
  for (const mode_t mode : {mode_t{0640}, mode_t{0606}}) {
    struct stat info;
    if (FSQ_CALL("probe.chmod", ::fchmod(file.get(), mode)) == -1 ||
        RetryInterrupted(::fstat, file.get(), &info) == -1)
      return -1;
    if ((info.st_mode & 07777) != mode) return Feature::kNoEffect;
  }
  return 0;
}

int Prober::Fifo() const {
  // mkfifo rather than mkfifoat, which macOS has only from version 13.
  return MakeOnce(
      "fifo", [&] { return FSQ_CALL_ONCE("probe.fifo", ::mkfifo(JoinPath(path_, "fifo").c_str(), 0600)); });
}

int Prober::CopyInKernel() const {
  struct stat info;
  // If RENAME_EXCHANGE works, the two names have been exchanged by now.
  const char* const source = Look(kOne, &info) && info.st_size == kContentSize ? kOne : kTwo;
  const Descriptor from = Open(source, O_RDONLY);
  const Descriptor to = Open("copy", O_CREAT | O_WRONLY);
  if (!from.valid() || !to.valid()) return -1;
  off_t offset = 0;
  const ssize_t copied =
      FSQ_CALL("probe.copy", platform::CopyInKernel(from.get(), &offset, to.get(), kContentSize));
  if (copied == -1) return -1;
  return copied == kContentSize ? 0 : Feature::kNoEffect;
}

int Prober::CaseSensitive() const {
  struct stat info;
  if (Look("ONE", &info)) return Feature::kNoEffect;
  return errno == ENOENT ? 0 : -1;
}

Failure Prober::Run() {
  if (Failure failure = Prepare()) return failure;
  using platform::LinkWay;
  Add("unnamedFiles", "openat", [this] { return Unnamed(); });
  Add("linkEmptyPath", "linkat",
      [this] { return LinkUnnamed("probe.emptypath", "by-path", LinkWay::kEmptyPath); });
  Add("linkProcFd", "linkat",
      [this] { return LinkUnnamed("probe.procfd", "by-proc", LinkWay::kProcSelfFd); });
  Add("hardLinks", "linkat", [this] { return HardLink(); });
  Add("renameNoReplace", "rename", [this] { return RenameExclusive(); });
  Add("renameExchange", "rename", [this] { return RenameExchange(); });
  Add("flock", "flock", [this] { return Lock("probe.flock", LockKind::kFlock); });
  Add("ofdLocks", "fcntl", [this] { return Lock("probe.ofd", LockKind::kDescription); });
  Add("delays", "futimens", [this] { return Delay(); });
  Add("modes", "fchmod", [this] { return Modes(); });
  Add("fifos", "mkfifo", [this] { return Fifo(); });
  Add("syncDirectory", "fsync",
      [this] { return FSQ_CALL("probe.sync", platform::SyncDirectory(directory_.get())); });
  Add("copyInKernel", "copy_file_range", [this] { return CopyInKernel(); });
  Add("caseSensitive", "fstatat", [this] { return CaseSensitive(); });
  result_.timestamp_step_ns = TimestampStep();
  return failure_;
}

}  // namespace

Failure Probe(const std::string& path, ProbeResult* result) {
  return Prober(path, result).Run();
}

}  // namespace fsq
