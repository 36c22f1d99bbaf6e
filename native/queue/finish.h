// The finish of the standard (section 5): rename under the lock, unlock, close.
#pragma once

#include <string>
#include <vector>

#include "calls/failure.h"
#include "files/claimed_descriptor.h"
#include "queue/directory.h"

namespace fsq {

struct Finish {
  ClaimedDescriptor descriptor;
  std::string from;  // its name in queue/
  Place to_place = Place::kDone;
  std::string to;
  int64_t due_ms = 0;  // backoff: the time at which it is due again, milliseconds since the epoch; 0: at once
  bool discard = false;  // to tmp/ and away, instead of done/

  Failure failure;  // out. ESTALE: queue/ has no such name of this inode any more. EEXIST: `to` belongs to
                    // another item.
  bool undelayed = false;  // out: moved, but `due_ms` could not be set (only an owner may set a file's times)
  bool moved = false;      // out: the item has left, whatever `failure` says; the descriptor is closed
};

// An item that could not be moved keeps its descriptor and its lock. With `durable`, queue/ (the directory
// that was left) is made durable once for all; where that fails, the moved ones carry the failure.
void FinishAll(const QueueDirectory& directory, std::vector<Finish>& items, bool durable);

}  // namespace fsq
