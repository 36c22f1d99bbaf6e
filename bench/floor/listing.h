// The names in a directory, in the order in which a queue hands them out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fsq_floor {

class Listing {
 public:
  struct Entry {
    uint64_t timestamp;
    uint64_t entropy;
    size_t name;  // the offset of the name in the arena
  };

  // Reads `directory` from its current offset.
  explicit Listing(int directory);

  const std::vector<Entry>& entries() const { return entries_; }
  const char* NameOf(const Entry& entry) const { return arena_.c_str() + entry.name; }

 private:
  std::string arena_;
  std::vector<Entry> entries_;
};

}  // namespace fsq_floor
