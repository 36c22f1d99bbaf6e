// System calls that differ between Linux and macOS. Each returns -1 with errno set, like the call itself.
#pragma once

#include <sys/types.h>

namespace fsq_floor {

// A new unnamed file for writing. ENOTSUP if there are none.
int OpenUnnamed(int directory, mode_t mode);
int LinkUnnamed(int fd, int directory, const char* name);

// Never replaces.
int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to);

// Whether sync_file_range makes contents durable here and one fsync the link: ext4 and xfs.
bool SyncsByRange(int directory);
int StartWriteback(int fd);
int FinishWriteback(int fd);
int Sync(int fd);

// For a forked process: ends it when its parent ends. Works on Linux only; elsewhere the process runs until
// it is done.
void EndWithParent();

// Seconds on a monotonic clock, with a fraction.
double Now();

// Ends the process and prints what failed and why.
[[noreturn]] void Die(const char* what, const char* name = "");

// Ends the process if a call has failed.
inline int Check(int result, const char* what, const char* name = "") {
  if (result == -1) Die(what, name);
  return result;
}

// A descriptor that closes itself at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  int get() const { return fd_; }

 private:
  const int fd_;
};

// A directory of the queue.
int OpenDirectory(const char* queue, const char* name);

}  // namespace fsq_floor
