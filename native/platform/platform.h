// All that Linux and macOS name or do differently. Each function returns -1 with errno set, as the call it
// stands for does.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fsq::platform {

// How an inode without a name gets its first one.
enum class LinkWay : int {
  kEmptyPath,   // linkat(fd, "", AT_EMPTY_PATH): needs no /proc; unprivileged from Linux 6.10
  kProcSelfFd,  // linkat("/proc/self/fd/N", AT_SYMLINK_FOLLOW)
  kTemporary,   // no unnamed inodes here: a file in tmp/ is linked, then unlinked
};

// The first way that is worth trying on this platform.
LinkWay FirstLinkWay();

// A new regular file without a name, for writing. ENOTSUP where the platform or the file system has no such
// thing.
int OpenUnnamed(int directory, mode_t mode);

// Gives the unnamed inode a name; never replaces. Not for LinkWay::kTemporary.
int LinkUnnamed(int fd, int directory, const char* name, LinkWay way);

// rename(2) that never replaces. EINVAL or ENOSYS where the kernel or the file system cannot.
int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to);

// Swaps two names in one step. EINVAL or ENOSYS where that cannot be done.
int RenameExchange(int from_directory, const char* from, int to_directory, const char* to);

// Asks the server of a network file system what an open directory is by now: names in it are not looked up in
// what this machine remembers then, if another one has changed any of them. Costs a call to the server.
int Refresh(int directory);

// Makes the file, or the directory's entries, survive a power cut.
int SyncFile(int fd);
int SyncDirectory(int fd);

// A hint: the file's data can go to the disk now, so that a later SyncFile or WriteOut finds less to do.
// Never waits.
void StartWriteback(int fd);

// Waits until the file's data is on the disk, without committing the journal. It survives a power cut only
// once something else is committed that comes after it; see WritesOut.
int WriteOut(int fd);

// Copies up to `length` bytes from the offset of `source`, which it advances, to the current one of `to`:
// bytes copied, 0 at the end. ENOTSUP where the bytes have to pass through this process.
ssize_t CopyInKernel(int source, off_t* offset, int to, size_t length);

// read(2) of a stream that never waits, whether the descriptor has O_NONBLOCK or not: EAGAIN where nothing is
// there. ENOTSUP where the kernel cannot do so for this kind of file.
ssize_t ReadWithoutWaiting(int fd, char* buffer, size_t size);

// An exclusive or shared open-file-description lock on a range of the file, without waiting; length 0: to the
// end.
int LockDescription(int fd, bool exclusive, off_t start, off_t length);
int UnlockDescription(int fd, off_t start, off_t length);

// The file system that an open file is on.
struct FileSystem {
  // kNetwork: other machines may change it, too, so that this kernel does not know of all locks and changes.
  enum class Reach : int { kLocal, kNetwork, kUnknown };

  std::string name;
  Reach reach = Reach::kUnknown;
};
int FindFileSystem(int fd, FileSystem* found);

// On this file system, what WriteOut has written survives together with a later change of a directory that
// SyncDirectory makes durable: shown for ext4 (with a journal, in data=ordered mode, without fast commits)
// and xfs by simulated power cuts. On btrfs it does not; of others nothing is known.
bool WritesOut(int directory, const FileSystem& system);

enum class EntryType : uint8_t {
  kUnknown,
  kRegular,
  kDirectory,
  kSymlink,
  kFifo,
  kSocket,
  kCharacter,
  kBlock
};

// Of a directory entry's d_type, and of a file's st_mode.
EntryType TypeOfEntry(unsigned char type);
EntryType TypeOfMode(mode_t mode);

// What NFS and FUSE call a file that was deleted while it was open: it goes with the last close, and is
// nobody's.
bool IsDeleted(std::string_view name);

// Calls `visit` for each entry but ".", ".." and those that are deleted, until that returns false;
// `directory` is a descriptor of its own, read from its offset.
struct DirectoryEntry {
  std::string_view name;  // ends with NUL
  EntryType type;         // kUnknown on a file system that keeps none in its directories
  ino_t inode;
};
int ReadEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit);

// Watching directories. A watcher is a descriptor that can be polled and is readable when something has
// happened.
struct WatchEvent {
  int watch = -1;
  bool created =
      false;  // a name has appeared; on macOS perhaps: something has changed, and the name is empty
  bool touched =
      false;            // the times or the mode of a file that stands in the directory were set; not on macOS
  bool closed = false;  // a file that stands in the directory has been closed by somebody; not on macOS
  bool gone = false;    // the directory itself has been moved or removed
  bool lost = false;    // events of any watch were lost
  std::string_view name;
};
int OpenWatcher();
// The number of the watch; the same one for the same directory on Linux, a new one on macOS. `files`: also
// when files in it are closed or touched; else, also when something in it goes.
int AddWatch(int watcher, const char* directory, bool files);
void RemoveWatch(int watcher, int watch);
// Takes what has happened so far, without waiting.
int ReadWatcher(int watcher, const std::function<void(const WatchEvent&)>& visit);

// pipe(2) whose ends neither block nor outlive an exec.
int OpenPipe(int ends[2]);

// Keeps this library in memory when Node has closed it with the last thread that had loaded it: what is one
// for the process (entropies) would begin anew with the next thread.
void StayLoaded();

// The process's umask, or -1 where it cannot be read without changing it.
int Umask();

const timespec& ModifiedAt(const struct stat& info);
const timespec& ChangedAt(const struct stat& info);

}  // namespace fsq::platform
