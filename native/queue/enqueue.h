// The enqueue of the standard (section 3), for one item or many: an item that can be seen in queue/ is
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
  std::string suffix;  // the name after its entropy: "_PID_HOST_0_ARGS", encoded
  Payload payload;
  int64_t due_ms = 0;  // milliseconds since the epoch at which a delayed item is due; 0: at once
  std::shared_ptr<std::atomic<bool>> unwanted;  // may be null; set: ECANCELED, unless it is linked already

  std::string name;       // out: its name in queue/ once linked
  Failure failure;        // out
  size_t name_limit = 0;  // out, with ENAMETOOLONG: the bytes the name may have
  size_t name_bytes = 0;  // out, with ENAMETOOLONG: the bytes the name would need
  bool linked = false;    // out: visible, and perhaps running already, whatever `failure` says
};

// The timestamp is taken, and the name made, just before the link. Each item ends up linked, or failed with
// nothing left of it; one failure stops no other. Items are linked in order. With a stale directory (see
// CheckCurrent) no item is linked and each fails with ESTALE. With `durable`, an item whose directory could
// not be made durable is linked and has failed: it must not be added again.
//
// An item whose payload is a draft takes its file as it is, or, where that cannot get a name here, a copy of
// it. The draft keeps its file while the item has not been linked.
void EnqueueAll(QueueDirectory& directory, const ItemForm& form, std::span<NewItem> items,
                const std::atomic<bool>* stopping);

// Gives the item an empty draft for its payload, or fails it.
void OpenDraft(std::shared_ptr<QueueDirectory> directory, const ItemForm& form, NewItem& item);

}  // namespace fsq
