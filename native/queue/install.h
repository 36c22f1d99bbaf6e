// Creating and moving whole queues. One rename makes a queue appear complete, under its name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calls/failure.h"

namespace fsq {

struct Installation {
  struct File {
    std::string name;
    std::string contents;
  };

  std::string root;    // FSQ_ROOT
  std::string hidden;  // the sibling directory in which it is built; on EEXIST from mkdirat, try another name
  std::string name;
  std::vector<std::string> directories;  // a parent comes before what is in it
  std::vector<File> files;               // markers and guards
  struct Fifo {
    std::string name;
    mode_t mode;
  };
  std::vector<Fifo> fifos;  // triggers
  mode_t mode = 02770;
  int64_t user = -1;   // uid; -1: unchanged
  int64_t group = -1;  // gid; -1: unchanged
  bool replace = false;

  bool published = false;  // out: the queue is in place, whatever the failure says
  std::string leftover;    // out: the name of the queue that was there before; empty: there was none
};

// On success the queue is durable. A failure before the queue is in place leaves nothing behind.
Failure Install(Installation& installation);

// Renames a queue within its root, never replaces another, and makes the rename durable. `strict`: EINVAL or
// ENOSYS where the file system has no rename that refuses to replace a file; else a plain rename takes its
// place there. `moved`: the queue has the new name, even if a later step failed.
Failure Relocate(const std::string& root, const std::string& from, const std::string& to, bool strict,
                 bool* moved);

}  // namespace fsq
