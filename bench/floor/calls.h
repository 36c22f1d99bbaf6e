// The system calls that Linux and macOS name differently. Each returns -1 with errno set, as the call does.
#pragma once

#include <sys/types.h>

namespace fsq_floor {

// A new file for writing that has no name. ENOTSUP where there is no such thing.
int OpenUnnamed(int directory, mode_t mode);
int LinkUnnamed(int fd, int directory, const char* name);

// Never replaces.
int RenameExclusive(int from_directory, const char* from, int to_directory, const char* to);

// Contents become durable by sync_file_range here, and the link by one fsync: ext4 and xfs.
bool SyncsByRange(int directory);
int StartWriteback(int fd);
int FinishWriteback(int fd);
int Sync(int fd);

// In a process that was forked: ends when the one that forked it does. Elsewhere than on Linux it comes to
// its own end.
void EndWithParent();

// The number of seconds that never steps back, with its fraction.
double Now();

// Ends the process with what failed and why.
[[noreturn]] void Die(const char* what, const char* name = "");

// Ends the process where a call has failed.
inline int Check(int result, const char* what, const char* name = "") {
  if (result == -1) Die(what, name);
  return result;
}

// A descriptor that is closed at the end of its scope.
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
