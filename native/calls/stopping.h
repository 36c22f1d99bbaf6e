// How a long operation is asked to give up.
#pragma once

#include <atomic>

namespace fsq {

// Each may be null.
struct Stopping {
  const std::atomic<bool>* process = nullptr;    // set: the process wants to exit
  const std::atomic<bool>* operation = nullptr;  // set: nothing waits for this operation any more

  bool requested() const { return IsSet(process) || IsSet(operation); }

 private:
  static bool IsSet(const std::atomic<bool>* flag) {
    return flag != nullptr && flag->load(std::memory_order_relaxed);
  }
};

}  // namespace fsq
