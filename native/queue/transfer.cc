#include "queue/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "calls/fault_point.h"

namespace fsq {
namespace {

class Mover {
 public:
  Mover(const QueueDirectory& directory, Place from, Place to)
      : directory_(directory), from_(directory.fd(from)), to_(directory.fd(to)) {}

  int Move(const std::string& name) const;

 private:
  int MovePlainly(const std::string& name) const;
  // 1: there is such a file; 0: there is none; -1: errno.
  int IsThere(int at, const std::string& name) const {
    struct stat info;
    if (directory_.Look("receive.look", at, name.c_str(), &info) == 0) return 1;
    return errno == ENOENT ? 0 : -1;
  }
  // Whether an interrupted call has already taken effect.
  bool WasMade(const std::string& name) const { return IsThere(from_, name) == 0 && IsThere(to_, name) == 1; }

  const QueueDirectory& directory_;
  const int from_;
  const int to_;
};

// A link and an unlink would leave both names after a crash between them, and a worker could finish the item
// in the meantime. So without an exclusive rename, a look for the name comes first. Only another producer
// with the same host, pid, time and entropy could make the name between the two calls.
int Mover::MovePlainly(const std::string& name) const {
  const int taken = IsThere(to_, name);
  if (taken == 1) errno = EEXIST;
  if (taken != 0) return -1;
  return RetryUnlessMade(
      [&] { return FSQ_CALL_ONCE("receive.rename", ::renameat(from_, name.c_str(), to_, name.c_str())); },
      [&] { return WasMade(name); });
}

int Mover::Move(const std::string& name) const {
  if (directory_.lacks_exclusive_rename()) return MovePlainly(name);
  const int renamed = RetryUnlessMade(
      [&] {
        return FSQ_CALL_ONCE("receive.rename",
                             platform::RenameExclusive(from_, name.c_str(), to_, name.c_str()));
      },
      [&] { return WasMade(name); });
  if (renamed == 0 || !platform::LacksExclusiveRename(errno)) return renamed;
  directory_.NoteExclusiveRename(true);
  return MovePlainly(name);
}

}  // namespace

void TransferAll(const QueueDirectory& directory, Place from, Place to, std::span<Transfer> files) {
  const Mover mover(directory, from, to);
  const int stale = directory.CheckAllCurrent() == 0 ? 0 : LastError();
  for (Transfer& file : files) {
    if (stale != 0)
      file.error = stale;
    else if (mover.Move(file.name) == -1)
      file.error = LastError();
  }
}

}  // namespace fsq
