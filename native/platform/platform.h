// Everything that differs between Linux and macOS. Each function returns -1 with errno set, like the call
// that it wraps.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fsq::platform {

// How an unnamed inode gets its first name.
enum class LinkWay : int {
  kEmptyPath,   // linkat(fd, "", AT_EMPTY_PATH): needs no /proc; unprivileged from Linux 6.10
  kProcSelfFd,  // linkat("/proc/self/fd/N", AT_SYMLINK_FOLLOW)
  kTemporary,   // unnamed inodes are not available: link a file from tmp/, then unlink it there
};

// The first way that is worth trying on this platform.
LinkWay FirstLinkWay();

// A new regular file without a name, open for writing. ENOTSUP if the platform or the file system has no
// unnamed files.
int OpenUnnamed(int directory, mode_t mode);

// Gives the unnamed inode a name and never replaces an existing one. Not for LinkWay::kTemporary.
int LinkUnnamed(int fd, int directory, const char* name, LinkWay way);

// rename(2) that never replaces. EINVAL or ENOSYS if the kernel or the file system does not support it.
int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to);
// Whether the error number says that it is not supported.
bool LacksExclusiveRename(int error);

// Swaps two names atomically. EINVAL or ENOSYS if this is not supported.
int RenameExchange(int from_directory, const char* from, int to_directory, const char* to);

// Revalidates an open directory with the server of a network file system. If another machine has changed
// names in it, later look-ups do not use this machine's cache. Costs one call to the server.
int Refresh(int directory);

// Makes the file, or the entries of the directory, survive a power cut.
int SyncFile(int fd);
int SyncDirectory(int fd);

// Hints that the file's data can go to the disk now, so that a later SyncFile or WriteOut has less to do.
// Never waits.
void StartWriteback(int fd);

// Waits until the file's data is on the disk, without committing the journal. The data survives a power cut
// only after a later commit of something else; see WritesOut.
int WriteOut(int fd);

// Copies up to `length` bytes from offset `*offset` of `source`, which it advances, to the current offset of
// `to`. Returns the bytes copied, 0 at the end. ENOTSUP if the bytes have to pass through this process.
ssize_t CopyInKernel(int source, off_t* offset, int to, size_t length);

// read(2) on a stream that never waits, with or without O_NONBLOCK on the descriptor: EAGAIN if no bytes are
// available. ENOTSUP if the kernel cannot do this for this kind of file.
ssize_t ReadWithoutWaiting(int fd, char* buffer, size_t size);

// Takes an exclusive or shared open-file-description lock on a range of the file, without waiting. Length 0
// reaches to the end of the file.
int LockDescription(int fd, bool exclusive, off_t start, off_t length);
int UnlockDescription(int fd, off_t start, off_t length);

// The file system that an open file is on.
struct FileSystem {
  // kNetwork: other machines may change it, too, so this kernel does not know all locks and changes.
  enum class Reach : int { kLocal, kNetwork, kUnknown };

  std::string name;
  Reach reach = Reach::kUnknown;
};
int FindFileSystem(int fd, FileSystem* found);

// Opens a file that this process closes before it moves the file. On NFS, it asks the server for no
// delegation of the file: the client would have to return it ahead of the move, which is one more call to the
// server.
int OpenBriefly(int directory, const char* name, int flags, const FileSystem& system);

// Whether, on this file system, data written by WriteOut survives together with a later directory change that
// SyncDirectory makes durable. Simulated power cuts have shown this for ext4 (with a journal, in data=ordered
// mode, without fast commits) and xfs. It does not hold on btrfs. Other file systems are untested and count
// as no.
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

// From the d_type of a directory entry, and from the st_mode of a file.
EntryType TypeOfEntry(unsigned char type);
EntryType TypeOfMode(mode_t mode);

// Whether this is the name that NFS or FUSE gives a file deleted while it is open. The file disappears with
// the last close and is not an item.
bool IsDeleted(std::string_view name);

// Calls `visit` for each entry except ".", ".." and deleted files, until it returns false. `directory` is a
// descriptor that only this call uses, read from its current offset.
struct DirectoryEntry {
  std::string_view name;  // ends with NUL
  EntryType type;         // kUnknown if the file system stores no types in its directories
  ino_t inode;
};
int ReadEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit);
// The same for the entries that the next call of the kernel returns; on macOS, for all. 1: there may be more;
// 0: there are none, or `visit` has returned false; -1: errno.
int ReadNextEntries(int directory, const std::function<bool(const DirectoryEntry&)>& visit);

// Watching directories. A watcher is a descriptor that can be polled; it becomes readable when an event
// arrives.
struct WatchEvent {
  int watch = -1;
  // A name has appeared. On macOS: something has changed, perhaps this, and the name is empty.
  bool created = false;
  bool touched = false;  // the times or the mode of a file in the directory were set; not on macOS
  bool closed = false;   // a file in the directory was closed; not on macOS
  bool gone = false;     // the directory itself was moved or removed
  bool lost = false;     // events of any watch were lost
  std::string_view name;
};
int OpenWatcher();
// Returns the number of the watch: on Linux the same number for the same directory, on macOS a new one. With
// `files`, also reports when files in the directory are closed or touched; without, also when an entry is
// removed.
int AddWatch(int watcher, const char* directory, bool files);
void RemoveWatch(int watcher, int watch);
// A path by which AddWatch reaches an open directory without a look at its file system. On macOS there is
// none: returns `path`.
std::string PathOfOpen(int directory, std::string path);
// Reads the events that have arrived so far, without waiting.
int ReadWatcher(int watcher, const std::function<void(const WatchEvent&)>& visit);

// pipe(2) with both ends non-blocking and close-on-exec.
int OpenPipe(int ends[2]);

// Keeps this library in memory after Node closes it with the last thread that loaded it. Otherwise
// process-wide state (entropies) would start again with the next thread.
void StayLoaded();

// Reads from the beginning of the file and past the cache of this machine, where the file system can do that:
// a network file system then asks its server. `buffer` is aligned to kUncachedAlignment. Changes the flags of
// the open file.
constexpr size_t kUncachedAlignment = 4096;
ssize_t ReadUncached(int fd, char* buffer, size_t size);

// Nanoseconds on a clock that never steps back, and goes on while the machine sleeps.
int64_t SleepingClockNs();

// A random number from the kernel, or, where it gives none, a number that other processes hardly have.
uint64_t RandomNumber();

// How often the calling thread has gone to sleep in the kernel, as it does to wait for a disk; -1 where only
// the process is counted.
int64_t Sleeps();

// The process's umask, or -1 where it cannot be read without changing it.
int Umask();

const timespec& ModifiedAt(const struct stat& info);
const timespec& ChangedAt(const struct stat& info);

}  // namespace fsq::platform
