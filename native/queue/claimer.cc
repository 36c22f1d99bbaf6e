#include "queue/claimer.h"

#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "calls/fault_point.h"
#include "files/due_time.h"

namespace fsq {

bool Claimer::Stop(const char* syscall, const Listing::Entry& entry) {
  batch_.failure = Failure{LastError(), syscall, directory_.PathOf(Place::kQueue, entry.view())};
  return false;
}

// After a failed call: whether it failed because another worker was faster.
bool Claimer::Gone() {
  if (errno != ENOENT) return false;
  outcome_ = Course::Outcome::kGone;
  return true;
}

void Claimer::NoteForeign(const Listing::Entry& entry, platform::EntryType type) {
  batch_.notes.push_back({ClaimNote::Kind::kForeign, std::string(entry.view()), type, {}});
}

void Claimer::NoteUnreadable(const char* syscall, const Listing::Entry& entry) {
  Failure failure = Failure{LastError(), syscall, directory_.PathOf(Place::kQueue, entry.view())};
  batch_.notes.push_back(
      {ClaimNote::Kind::kUnreadable, std::string(entry.view()), entry.type, std::move(failure)});
}

// If one item is delayed, the next ones may be, too.
void Claimer::NoteDelayed(const Listing::Entry& entry, const struct stat& info) {
  listing_.look_first = Listing::kLookFirst;
  batch_.delayed++;
  if (skipped_ != nullptr) skipped_->KeepDelayed(entry.view(), DueOf(info));
}

void Claimer::NoteCompleted(const Listing::Entry& entry) {
  batch_.notes.push_back({ClaimNote::Kind::kCompleted, std::string(entry.view()), entry.type, {}});
}

void Claimer::Read(Claim& claim, int fd) {
  if (claim.size < 0 || static_cast<size_t>(claim.size) > read_limit_) return;
  const size_t offset = batch_.contents.size();
  const auto size = static_cast<size_t>(claim.size);
  batch_.contents.resize(offset + size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = FSQ_CALL("claim.read", ::pread(fd, batch_.contents.data() + offset + filled,
                                                       size - filled, static_cast<off_t>(filled)));
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  // The claim itself is good. Reading the content later reports the error.
  if (filled < size) {
    batch_.contents.resize(offset);
    return;
  }
  claim.content_offset = offset;
  claim.content_length = static_cast<ssize_t>(size);
}

}  // namespace fsq
