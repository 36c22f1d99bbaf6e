// Memory for vectors that may be large and do not live long: it goes back to the system at once. malloc would
// keep it, for each thread that has ever listed a directory.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace fsq {

template <typename Value>
class PageAllocator {
 public:
  using value_type = Value;

  PageAllocator() = default;
  template <typename Other>
  explicit PageAllocator(const PageAllocator<Other>&) {}

  Value* allocate(size_t count) {
    const size_t size = count * sizeof(Value);
    if (size < kLarge) return static_cast<Value*>(::operator new(size));
    void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    // As without memory for operator new.
    if (pages == MAP_FAILED) std::abort();
    return static_cast<Value*>(pages);
  }

  void deallocate(Value* memory, size_t count) {
    if (count * sizeof(Value) < kLarge)
      ::operator delete(memory);
    else
      (void)::munmap(memory, count * sizeof(Value));
  }

  bool operator==(const PageAllocator&) const { return true; }

 private:
  static constexpr size_t kLarge = 64 * 1024;
};

}  // namespace fsq
