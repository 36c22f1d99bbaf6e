// Moves files from one directory of a queue to another, without a lock: for files that no worker can claim,
// because they are not in queue/ yet.
#pragma once

#include <span>
#include <string>

#include "queue/directory.h"

namespace fsq {

struct Transfer {
  std::string name;
  int error = 0;  // out: 0, or a negative error number. ESTALE: the path names another queue now, and no file
                  // was moved. EEXIST: the name is taken there. ENOENT: there is no such file.
};

// Moves each file to the same name in `to`, in their order. None replaces another file.
void TransferAll(const QueueDirectory& directory, Place from, Place to, std::span<Transfer> files);

}  // namespace fsq
