// The enqueue of the standard (section 3), for one item or many. An item that is visible in queue/ is
// complete.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>

#include "calls/failure.h"
#include "queue/directory.h"
#include "queue/item_file.h"

namespace fsq {

struct NewItem {
  std::string suffix;  // the name after its entropy: "_PID_HOST_0_ARGS", encoded. The whole name, if the form
                       // is exact
  Payload payload;
  int64_t due_ms = 0;  // when a delayed item is due, in milliseconds since the epoch; 0: not delayed
  std::shared_ptr<std::atomic<bool>> unwanted;  // Set to cancel the item, which then fails with ECANCELED
                                                // unless it is already linked. May be null.

  std::string name;       // out: its name in queue/, once linked
  Failure failure;        // out
  size_t name_limit = 0;  // out, with ENAMETOOLONG: the longest name that is allowed, in bytes
  size_t name_bytes = 0;  // out, with ENAMETOOLONG: the length that the name would have, in bytes
  bool linked = false;    // out: visible, and possibly running already, whatever `failure` says
};

// Takes the timestamp and makes the name just before the link. Each item ends up either linked, or failed and
// removed without a trace; the failure of one does not affect the others. Items are linked in order. If the
// directory is stale (see CheckCurrent), no item is linked and each fails with ESTALE. With `durable`, an
// item whose directory entry could not be made durable is linked and has also failed: it must not be enqueued
// again.
//
// An item whose payload is a draft uses the file of the draft, or a copy if that file cannot be linked here.
// Until the item is linked, the draft keeps its file.
void EnqueueAll(QueueDirectory& directory, const ItemForm& form, std::span<NewItem> items,
                const std::atomic<bool>* stopping);

// Gives the item an empty draft as its payload, or sets its failure. `trusted` is false if the bytes that are
// written into it may turn out to be other memory of this process: then only its owner may read the file
// until it is enqueued.
void OpenDraft(std::shared_ptr<QueueDirectory> directory, const ItemForm& form, NewItem& item, bool trusted);

}  // namespace fsq
