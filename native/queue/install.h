// Making and moving whole queues: a queue appears complete, under its name, in one rename.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "calls/failure.h"

namespace fsq {

struct Installation {
  std::string root;    // FSQ_ROOT
  std::string hidden;  // the sibling it is built in; EEXIST for mkdirat: take another name
  std::string name;
  std::vector<std::string> directories;
  std::string marker;  // a file that asks for fcntl locks; empty: none
  mode_t mode = 02770;
  int64_t user = -1;   // uid; -1: leave
  int64_t group = -1;  // gid; -1: leave
  bool replace = false;

  bool published = false;  // out: the queue is in place, whatever the failure says
  std::string leftover;    // out: what was there before is now called this; empty: nothing was
};

// Durable once it has succeeded. Leaves nothing behind when it fails before the queue is in place.
Failure Install(Installation& installation);

// Gives a queue another name in the same root, never replacing, and makes that durable. `moved`: it has the
// name, whatever failed then.
Failure Relocate(const std::string& root, const std::string& from, const std::string& to, bool* moved);

}  // namespace fsq
