// The claim of the standard: open, lock, and only then check the name (section 4); or, in a queue whose
// claims are renames, rename and then look (section 11).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"
#include "files/claimed_descriptor.h"
#include "queue/directory.h"
#include "queue/listing.h"
#include "queue/skipped.h"

namespace fsq {

struct Claim {
  std::string name;
  ClaimedDescriptor descriptor;  // not open if the item was claimed by renaming it
  off_t size = 0;
  size_t position = 0;     // in the listing
  int64_t claimed_us = 0;  // when it was renamed into claimed/, by the clock of the file system; 0: it was
                           // locked
  // The offset of its content in ClaimBatch::contents. Length -1: the content was not read (it is too large,
  // or reading failed).
  size_t content_offset = 0;
  ssize_t content_length = -1;
};

// A skipped name that is worth reporting.
struct ClaimNote {
  enum class Kind : int { kForeign, kUnreadable, kCompleted };

  Kind kind = Kind::kForeign;
  std::string name;
  platform::EntryType type = platform::EntryType::kUnknown;  // of a foreign one
  Failure failure;                                           // of an unreadable one
};

struct ClaimBatch {
  std::vector<Claim> claims;
  std::shared_ptr<WorkerDirectory> holder;  // of the items that were claimed by renaming them
  std::vector<ClaimNote> notes;
  std::string contents;
  size_t busy = 0;  // items that others hold
  size_t delayed = 0;
  size_t looked = 0;  // names tried
  int64_t spent_ns = 0;
  bool down = false;
  bool ended = false;     // the listing has been used up
  bool has_more = false;  // and there were names behind it
  Failure failure;        // the failure that ended the batch; the claims made before it are good
};

// Continues in the listing from its cursor until `limit` items are claimed or `looks` names have been tried.
// Reads contents of up to `read_limit` bytes along with the claim. `skipped` belongs to a scan that waits and
// remembers the skipped names; null for other scans. When asked to stop, it ends early, as if `looks` were
// used up.
ClaimBatch ClaimNext(const QueueDirectory& directory, Listing& listing, size_t limit, size_t looks,
                     size_t read_limit, Skipped* skipped, Stopping stopping);

}  // namespace fsq
