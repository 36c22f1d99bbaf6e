// Moves that were cut in half: an inode with two names.
//
// Where renames can be exclusive, a move is one call. Elsewhere it is a link and an unlink, and a crash
// between them leaves both names (as a power cut can on btrfs). The work was done, or the retry was made, so
// the move is completed: the item is not run again.
#pragma once

#include <sys/stat.h>

#include <string>

#include "queue/directory.h"

namespace fsq {

class WorkerDirectory;

// An item whose inode has several names.
struct HalfMove {
  // The directory of `name`; null: queue/.
  const WorkerDirectory* holder = nullptr;
  const std::string& name;
  const struct stat& info;
  // The worker of `holder` has died, perhaps while it gave the item back.
  bool is_dead = false;
};

// 1: the move is completed, and the name is removed, or another worker decides about it; 0: it is an ordinary
// item (its other name is still in tmp/, or belongs to a backup, or was left behind and is removed now); -1:
// errno.
int CompleteHalfMove(const QueueDirectory& directory, const HalfMove& item);

}  // namespace fsq
