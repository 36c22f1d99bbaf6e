#include "queue/skipped.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "files/due_time.h"

namespace fsq {
namespace {

constexpr size_t kMostBusy = 128;  // at most this many per waiter: descriptors are scarce
constexpr rlim_t kPartOfAll = 8;
constinit std::atomic<size_t> kept_by_all{0};
constexpr time_t kCoarseSeconds = 2;  // the coarsest file times, those of FAT

bool Same(const timespec& left, const timespec& right) {
  return left.tv_sec == right.tv_sec && left.tv_nsec == right.tv_nsec;
}

}  // namespace

bool Skipped::Share::Take() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) == -1) return false;
  if (kept_by_all.fetch_add(1) < limit.rlim_cur / kPartOfAll) return taken_ = true;
  kept_by_all.fetch_sub(1);
  return false;
}

Skipped::Share::~Share() {
  if (taken_) kept_by_all.fetch_sub(1);
}

Skipped::~Skipped() {
  UnlockBusy();
}

void Skipped::KeepBusy(std::string_view name, Descriptor opened) {
  Share share;
  if (busy_.size() < kMostBusy && share.Take())
    busy_.insert_or_assign(std::string(name), Busy{std::move(share), std::move(opened), pass_, false});
  else
    unkept_.emplace_back(name);
}

bool Skipped::DropBusy() {
  if (busy_.empty()) return false;
  UnlockBusy();
  for (const auto& [name, kept] : busy_) unkept_.push_back(name);
  busy_.clear();
  return true;
}

void Skipped::UnlockBusy() {
  // Explicitly, because a fork in another thread may hold copies of the descriptors.
  for (auto& [name, kept] : busy_) {
    if (std::exchange(kept.locked, false)) (void)Unlock(kept.opened.get(), lock_kind_);
  }
}

Descriptor Skipped::TakeBusy(std::string_view name) {
  const auto known = busy_.find(name);
  if (known == busy_.end()) return {};
  Descriptor opened = std::move(known->second.opened);
  busy_.erase(known);
  return opened;
}

void Skipped::KeepDelayed(std::string_view name, int64_t due_ms) {
  if (!delayed_.Add(due_ms, name)) all_remembered_ = false;
}

int64_t Skipped::due_in_ms() const {
  if (!has_delayed()) return -1;
  return std::max<int64_t>(0, delayed_.next_due_ms() - DueClockMs());
}

std::vector<std::string> Skipped::Names(bool kept, bool unkept) {
  std::vector<std::string> names;
  for (const auto& [name, busy] : busy_) {
    if (kept || busy.locked) names.push_back(name);
  }
  // Items that are still busy are added again, behind the others.
  for (size_t count = 0; unkept && count < kAtOnce && !unkept_.empty(); count++) {
    names.push_back(std::move(unkept_.front()));
    unkept_.pop_front();
  }
  delayed_.Take(DueClockMs(), kAtOnce, &names);
  return names;
}

void Skipped::BeginPass(const QueueDirectory& directory) {
  pass_++;
  in_pass_ = true;
  all_remembered_ = true;
  unkept_.clear();
  delayed_.Clear();
  lock_kind_ = directory.lock_kind();
  struct stat info;
  timespec now{};
  stamped_ = RetryInterrupted(::fstat, directory.fd(Place::kQueue), &info) == 0 &&
             ::clock_gettime(CLOCK_REALTIME, &now) == 0;
  if (!stamped_) return;
  modified_ = platform::ModifiedAt(info);
  changed_ = platform::ChangedAt(info);
  stamped_ = changed_.tv_sec + kCoarseSeconds < now.tv_sec;
}

void Skipped::EndPass() {
  if (!std::exchange(in_pass_, false)) return;
  std::erase_if(busy_, [&](const auto& entry) { return entry.second.pass != pass_; });
}

bool Skipped::IsQuiet(const QueueDirectory& directory) {
  struct stat info;
  if (!stamped_ || directory.CheckAllCurrent() == -1 || directory.CheckClaims() == -1 ||
      directory.IsDown() != 0 || RetryInterrupted(::fstat, directory.fd(Place::kQueue), &info) == -1 ||
      !Same(platform::ModifiedAt(info), modified_) || !Same(platform::ChangedAt(info), changed_)) {
    return false;
  }
  if (!all_remembered_ || !unkept_.empty() || directory.HasDoubts()) return false;
  for (auto& [name, kept] : busy_) {
    if (TryLock(kept.opened.get(), lock_kind_) == 0) kept.locked = true;
    if (kept.locked || errno != EAGAIN) return false;
  }
  return true;
}

}  // namespace fsq
