// The take-over of the items that dead workers had claimed, in a queue whose claims are renames.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "calls/failure.h"
#include "calls/stopping.h"
#include "queue/directory.h"
#include "queue/worker_directory.h"

namespace fsq {

// A dead worker, whose directory this process has locked.
struct Seized {
  struct Item {
    std::string name;
    struct stat info;
  };

  std::shared_ptr<WorkerDirectory> directory;
  std::string lines;  // the contents of its `.lock`
  std::vector<Item> items;
};

// Takes over the directories of all dead workers, and completes their moves that were cut in half. After a
// failure, the result has the directories that were taken over before it.
std::vector<Seized> SeizeDead(const QueueDirectory& queue, Stopping stopping, Failure* failure);

}  // namespace fsq
