// The part that claims by locks and claims by renames share: filling the answer.
#pragma once

#include <sys/stat.h>

#include <cstddef>

#include "queue/claim.h"
#include "queue/course.h"
#include "queue/listing.h"
#include "queue/skipped.h"

namespace fsq {

class Claimer {
 public:
  Claimer(const QueueDirectory& directory, Listing& listing, size_t read_limit, Skipped* skipped,
          ClaimBatch& batch)
      : directory_(directory), listing_(listing), read_limit_(read_limit), skipped_(skipped), batch_(batch) {}
  virtual ~Claimer() = default;
  Claimer(const Claimer&) = delete;
  Claimer& operator=(const Claimer&) = delete;

  // False: stop; batch.failure has the reason.
  virtual bool Try(const Listing::Entry& entry, size_t position) = 0;

  // Of the last try that did not stop.
  Course::Outcome outcome() const { return outcome_; }

 protected:
  bool Stop(const char* syscall, const Listing::Entry& entry);
  bool Gone();
  void NoteForeign(const Listing::Entry& entry, platform::EntryType type);
  void NoteUnreadable(const char* syscall, const Listing::Entry& entry);
  void NoteDelayed(const Listing::Entry& entry, const struct stat& info);
  void NoteCompleted(const Listing::Entry& entry);
  void Read(Claim& claim, int fd);

  const QueueDirectory& directory_;
  Listing& listing_;
  const size_t read_limit_;
  Skipped* const skipped_;
  ClaimBatch& batch_;
  Course::Outcome outcome_ = Course::Outcome::kSkipped;
};

}  // namespace fsq
