// The finish of the standard: rename under the lock, unlock, close (section 5); or, of an item that was
// claimed by renaming it, rename again (section 11).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "calls/failure.h"
#include "files/claimed_descriptor.h"
#include "files/item_log.h"
#include "queue/directory.h"
#include "queue/worker_directory.h"

namespace fsq {

struct Finish {
  ClaimedDescriptor descriptor;  // not open if there is a `holder`, but knows the inode
  std::string from;              // its name
  Place to_place = Place::kDone;
  std::string to;
  int64_t due_ms = 0;    // with backoff: when the item is due again, in milliseconds since the epoch; 0: not
                         // delayed
  bool discard = false;  // removes the item; `to_place` and `to` are not used

  std::optional<LogAppend> log;  // appended ahead of the move, which is made whatever becomes of the line

  std::shared_ptr<WorkerDirectory> holder;  // the directory that the item is in; null: queue/

  Failure failure;  // out. ESTALE: this inode no longer has this name in queue/; with a `holder`: the queue
                    // was removed. EEXIST: `to` belongs to another item. EOWNERDEAD: the claim is lost, or
                    // the worker's lock may be.
  bool undelayed = false;  // out: moved, but `due_ms` could not be set (only the owner of a file may set its
                           // times)
  bool moved =
      false;  // out: the item has left its directory, whatever `failure` says; the descriptor is closed
};

// An item that could not be moved keeps its descriptor and its lock. With `durable`, one fsync of the
// directory that the items left makes all moves durable; if it fails, every moved item has that failure.
void FinishAll(const QueueDirectory& directory, std::vector<Finish>& items, bool durable);

}  // namespace fsq
