#include "files/made_like.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "calls/failure.h"
#include "calls/fault_point.h"
#include "files/file_info.h"

namespace fsq {

constexpr mode_t kModeBits = 07777;

int AdornLike(int fd, const struct stat& like, mode_t mode) {
  struct stat info;
  if (RetryInterrupted(::fstat, fd, &info) == -1) return -1;
  // Only root may give a file to another user.
  const uid_t user = ::geteuid() == 0 ? like.st_uid : info.st_uid;
  if ((user != info.st_uid || like.st_gid != info.st_gid) &&
      FSQ_CALL("worker.chown", ::fchown(fd, user, like.st_gid)) == -1 && errno != EPERM)
    return -1;
  // EPERM: a file system that has no modes.
  if ((info.st_mode & kModeBits) != mode && FSQ_CALL("worker.chmod", ::fchmod(fd, mode)) == -1 &&
      errno != EPERM)
    return -1;
  return 0;
}

const char* MakeDirectoryLike(int parent, const std::string& name, const struct stat& like,
                              Descriptor* opened) {
  const mode_t mode = like.st_mode & kModeBits;
  const int made =
      RetryUnlessMade([&] { return FSQ_CALL_ONCE("worker.mkdir", ::mkdirat(parent, name.c_str(), mode)); },
                      [&] {
                        struct stat info;
                        return LookAt(parent, name, &info) == 0;
                      });
  if (made == -1) return "mkdirat";
  *opened = Descriptor(FSQ_CALL(
      "worker.open", ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)));
  const char* failed = nullptr;
  if (!opened->valid())
    failed = "openat";
  else if (AdornLike(opened->get(), like, mode) == -1)
    failed = "fchmod";
  if (failed == nullptr) return nullptr;
  const int error = errno;
  (void)RetryInterrupted(::unlinkat, parent, name.c_str(), AT_REMOVEDIR);
  errno = error;
  return failed;
}

}  // namespace fsq
