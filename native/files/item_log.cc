#include "files/item_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "calls/descriptor.h"
#include "calls/fault_point.h"
#include "files/file_info.h"

namespace fsq {
namespace {

// The holder of the lock has it for one write.
constexpr int kLockAttempts = 20;
constexpr timespec kLockPause{0, 1'000'000};
// A log that another process replaces each time that it is opened would be a wonder.
constexpr int kMostReopenings = 10;
// In a queue that a group may write to, a planted link or FIFO must neither lead elsewhere nor block.
constexpr int kSafely = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

class Log {
 public:
  explicit Log(LogAppend& append) : append_(append), path_(append.path.c_str()) {}

  Failure Append();

 private:
  Failure FailureOf(const char* syscall) const { return Failure{LastError(), syscall, append_.path, {}}; }
  int Open();
  Failure Adorn(const struct stat& info) const;
  Failure Lock(struct stat* info);
  Failure Write(const struct stat& info);
  bool EndsInNewline(const struct stat& info) const;

  LogAppend& append_;
  const char* const path_;
  Descriptor log_;
  bool is_new_ = false;
};

int Log::Open() {
  for (int attempt = 0;; attempt++) {
    int fd = FSQ_CALL("log.open", ::open(path_, O_RDWR | O_APPEND | kSafely));
    is_new_ = fd == -1 && errno == ENOENT;
    if (!is_new_) return fd;
    // O_EXCL: the file that this call makes gets its mode and owner, and no other does.
    const int flags = O_RDWR | O_APPEND | O_CREAT | O_EXCL | kSafely;
    fd = FSQ_CALL("log.open", ::open(path_, flags, append_.form.mode));
    if (fd != -1 || errno != EEXIST || attempt == kMostReopenings) return fd;
  }
}

// Only root gives files away. Others keep the file, which is usable if its group or the mode permits.
Failure Log::Adorn(const struct stat& info) const {
  const LogForm& form = append_.form;
  const uid_t user = form.user == LogForm::kLeave ? info.st_uid : static_cast<uid_t>(form.user);
  const gid_t group = form.group == LogForm::kLeave ? info.st_gid : static_cast<gid_t>(form.group);
  if ((user != info.st_uid || group != info.st_gid) &&
      FSQ_CALL("log.chown", ::fchown(log_.get(), user, group)) == -1 && errno != EPERM)
    return FailureOf("fchown");
  if ((info.st_mode & 07777) != form.mode && FSQ_CALL("log.chmod", ::fchmod(log_.get(), form.mode)) == -1)
    return FailureOf("fchmod");
  return {};
}

// Opens and locks the log that has the path.
Failure Log::Lock(struct stat* info) {
  for (int reopening = 0;; reopening++) {
    log_ = Descriptor(Open());
    if (!log_.valid()) return FailureOf("open");
    // Without the lock, too: a line that is appended beside a replacement may be lost, and one that is not
    // appended is.
    for (int attempt = 0; FSQ_CALL("log.lock", TryLock(log_.get(), append_.form.lock)) == -1; attempt++) {
      if (errno != EAGAIN) return FailureOf(append_.form.lock == LockKind::kFlock ? "flock" : "fcntl");
      if (attempt == kLockAttempts) break;
      (void)::nanosleep(&kLockPause, nullptr);
    }
    if (FSQ_CALL("log.stat", ::fstat(log_.get(), info)) == -1) return FailureOf("fstat");
    if (!S_ISREG(info->st_mode)) {
      errno = EINVAL;
      return FailureOf("open");
    }
    struct stat named;
    const int looked = FSQ_CALL("log.look", ::lstat(path_, &named));
    if (looked == -1 && errno != ENOENT) return FailureOf("lstat");
    if ((looked == 0 && IdOf(named) == IdOf(*info)) || reopening == kMostReopenings) return {};
  }
}

// A full disk or a crash may have cut the last line short.
bool Log::EndsInNewline(const struct stat& info) const {
  char last = '\n';
  if (info.st_size > 0) (void)FSQ_CALL("log.read", ::pread(log_.get(), &last, 1, info.st_size - 1));
  return last == '\n';
}

// A full file system causes a short write first, and ENOSPC at the next call.
Failure Log::Write(const struct stat& info) {
  if (!EndsInNewline(info)) append_.line.insert(0, 1, '\n');
  std::string_view rest = append_.line;
  while (!rest.empty()) {
    const ssize_t written = FSQ_CALL("log.write", ::write(log_.get(), rest.data(), rest.size()));
    if (written == -1) return FailureOf("write");
    rest.remove_prefix(static_cast<size_t>(written));
  }
  append_.size = info.st_size + static_cast<int64_t>(append_.line.size());
  return {};
}

Failure Log::Append() {
  struct stat info;
  if (Failure failure = Lock(&info)) return failure;
  if (is_new_) {
    if (Failure failure = Adorn(info)) return failure;
  }
  return Write(info);
}

}  // namespace

void AppendToLog(LogAppend& append) {
  append.failure = Log(append).Append();
}

}  // namespace fsq
