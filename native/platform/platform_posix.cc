// Functions that are the same, or nearly so, on Linux and macOS.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "calls/failure.h"
#include "platform/platform.h"

namespace fsq::platform {

#ifndef F_OFD_SETLK
// macOS declares it in public headers only from version 13; the number comes from the kernel.
#define F_OFD_SETLK 90
#endif

static int SetDescriptionLock(int fd, short type, off_t start, off_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return RetryInterrupted(::fcntl, fd, F_OFD_SETLK, &lock);
}

int LockDescription(int fd, bool exclusive, off_t start, off_t length) {
  return SetDescriptionLock(fd, exclusive ? F_WRLCK : F_RDLCK, start, length);
}
int UnlockDescription(int fd, off_t start, off_t length) {
  return SetDescriptionLock(fd, F_UNLCK, start, length);
}

bool LacksExclusiveRename(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
}

EntryType TypeOfEntry(unsigned char type) {
  switch (type) {
    case DT_REG:
      return EntryType::kRegular;
    case DT_DIR:
      return EntryType::kDirectory;
    case DT_LNK:
      return EntryType::kSymlink;
    case DT_FIFO:
      return EntryType::kFifo;
    case DT_SOCK:
      return EntryType::kSocket;
    case DT_CHR:
      return EntryType::kCharacter;
    case DT_BLK:
      return EntryType::kBlock;
    default:
      return EntryType::kUnknown;
  }
}

bool IsDeleted(std::string_view name) {
  return name.starts_with(".nfs") || name.starts_with(".fuse_hidden");
}

EntryType TypeOfMode(mode_t mode) {
  if (S_ISREG(mode)) return EntryType::kRegular;
  if (S_ISDIR(mode)) return EntryType::kDirectory;
  if (S_ISLNK(mode)) return EntryType::kSymlink;
  if (S_ISFIFO(mode)) return EntryType::kFifo;
  if (S_ISSOCK(mode)) return EntryType::kSocket;
  if (S_ISCHR(mode)) return EntryType::kCharacter;
  if (S_ISBLK(mode)) return EntryType::kBlock;
  return EntryType::kUnknown;
}

}  // namespace fsq::platform
