#include "files/path_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "calls/descriptor.h"
#include "calls/fault_point.h"

namespace fsq {
namespace {

// If the path names another file after we got the lock, another process replaced or removed the file between
// our open and our lock, most likely while it held the lock. After this many such rounds the lock counts as
// taken.
constexpr int kMostRounds = 16;

bool IsLockable(const struct stat& info) {
  return S_ISREG(info.st_mode) || S_ISDIR(info.st_mode);
}

bool IsUnwritable(int error) {
  return error == EACCES || error == EPERM || error == EROFS || error == EISDIR || error == ETXTBSY;
}

int Open(const PathLockRequest& request) {
  const auto open = [&](int access) {
    const int flags = access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    return FSQ_CALL("lock.open", ::open(request.path.c_str(), flags, 0666));
  };
  // For writing if possible: exclusive fcntl locks need it, and so does flock on NFS.
  int fd = open(O_RDWR);
  // O_CREAT only in a second call: in a sticky directory it is refused for a file that another user owns
  // (fs.protected_regular).
  if (fd == -1 && errno == ENOENT && request.create) fd = open(O_RDWR | O_CREAT);
  const bool for_reading = request.kind == LockKind::kFlock || !request.exclusive;
  if (fd == -1 && for_reading && IsUnwritable(errno)) {
    const int unwritable = errno;
    fd = open(O_RDONLY);
    // The file does exist, but O_RDWR was refused; ENOENT would mislead.
    if (fd == -1 && errno == ENOENT) errno = unwritable;
  }
  return fd;
}

const char* LockCall(LockKind kind) {
  return kind == LockKind::kFlock ? "flock" : "fcntl";
}

}  // namespace

PathLock LockPath(const PathLockRequest& request) {
  const char* const path = request.path.c_str();
  struct stat info;
  for (int round = 0; round < kMostRounds; round++) {
    // Look before the open, because opening a device has effects. If this stat fails, the open reports the
    // reason.
    if (FSQ_CALL("lock.look", ::stat(path, &info)) == 0 && !IsLockable(info)) return {.not_a_file = true};
    Descriptor opened(Open(request));
    if (!opened.valid()) return {.failure = Failure{LastError(), "open"}};
    struct stat locked;
    if (FSQ_CALL("lock.fstat", ::fstat(opened.get(), &locked)) == -1)
      return {.failure = Failure{LastError(), "fstat"}};
    if (!IsLockable(locked)) return {.not_a_file = true};
    if (FSQ_CALL("lock.lock", TryLock(opened.get(), request.kind, request.exclusive, request.range)) == -1)
      return {.failure = Failure{LastError(), LockCall(request.kind)}};
    ClaimedDescriptor held(opened.Release(), request.kind);
    held.Remember(locked);
    held.Lend();
    if (FSQ_CALL("lock.stat", ::stat(path, &info)) == 0) {
      if (held.Is(info)) return {.held = std::move(held)};
    } else if (errno != ENOENT) {
      return {.failure = Failure{LastError(), "stat"}};
    }
  }
  return {.failure = Failure{-EAGAIN, "stat"}};
}

}  // namespace fsq
