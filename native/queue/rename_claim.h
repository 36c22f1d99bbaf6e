// The claim of a queue whose claims are renames: rename the item into the directory of this worker, and only
// then look at it. The server of a network file system decides a rename; a look can come from the cache of
// this machine.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>

#include "queue/claimer.h"
#include "queue/worker_directory.h"

namespace fsq {

class RenameClaimer : public Claimer {
 public:
  using Claimer::Claimer;
  bool Try(const Listing::Entry& entry, size_t position) override;

 private:
  // The result of a look into the directory of this worker. kFailure: batch_.failure has the reason.
  enum class Found { kNothing, kFile, kFailure };

  // A name that this worker is about to claim. It is dropped afterwards, unless its file is, or may be, in
  // the directory of this worker.
  struct Attempt {
    const Listing::Entry& entry;
    const size_t position;
    const std::string name;
    // What the look ahead of the rename has found; zeros: there was none.
    struct stat looked {};
    bool is_kept = false;
  };

  bool TryTaken(Attempt& attempt, bool in_doubt);
  bool Look(Attempt& attempt, bool* skip);
  bool MayRead(const Listing::Entry& entry, const struct stat& named) const;
  int Rename(const std::string& name) const;
  bool AfterFailedRename(Attempt& attempt);
  Found Examine(Attempt& attempt);
  void GiveBack(Attempt& attempt);
  Found FailMine(const char* syscall, Attempt& attempt);

  const uid_t user_ = ::geteuid();
};

}  // namespace fsq
