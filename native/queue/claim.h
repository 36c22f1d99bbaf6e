// The claim of the standard (section 4): open, lock, and only then look.
#pragma once

#include <sys/types.h>

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
  ClaimedDescriptor descriptor;
  off_t size = 0;
  size_t position = 0;  // in the listing
  // Where its content stands in ClaimBatch::contents; length -1: it was not read (too large, or reading
  // failed).
  size_t content_offset = 0;
  ssize_t content_length = -1;
};

// A name that was skipped and is worth telling about.
struct ClaimNote {
  enum class Kind : int { kForeign, kUnreadable, kCompleted };

  Kind kind = Kind::kForeign;
  std::string name;
  platform::EntryType type = platform::EntryType::kUnknown;  // of a foreign one
  Failure failure;                                           // of an unreadable one
};

struct ClaimBatch {
  std::vector<Claim> claims;
  std::vector<ClaimNote> notes;
  std::string contents;
  size_t busy = 0;  // held by others
  size_t delayed = 0;
  size_t looked = 0;  // names
  int64_t spent_ns = 0;
  bool down = false;
  bool ended = false;  // the listing is used up
  Failure failure;     // what stopped the batch; the claims before it are good
};

// Goes on in the listing from its cursor until `limit` items are claimed or `looks` names looked at. Contents
// of up to `read_limit` bytes are read along with the claim. `skipped`: of a scan that waits; what is passed
// by is remembered there. Asked to stop, it ends early, as if `looks` were used up.
ClaimBatch ClaimNext(const QueueDirectory& directory, Listing& listing, size_t limit, size_t looks,
                     size_t read_limit, Skipped* skipped, Stopping stopping);

}  // namespace fsq
