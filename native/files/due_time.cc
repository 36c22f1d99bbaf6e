#include "files/due_time.h"

#include <fcntl.h>
#include <time.h>

#include <array>

#include "calls/failure.h"
#include "platform/platform.h"

namespace fsq {
namespace {

// The access time is set, too: FUSE file systems on libfuse 2 ignore a call that omits one of the times.
std::array<timespec, 2> TimesOf(int64_t due_ms) {
  std::array<timespec, 2> times{};
  times[0].tv_nsec = UTIME_NOW;
  times[1].tv_sec = static_cast<time_t>(due_ms / 1000);
  times[1].tv_nsec = static_cast<long>(due_ms % 1000) * 1'000'000;
  return times;
}

bool IsLater(const timespec& left, const timespec& right) {
  return left.tv_sec != right.tv_sec ? left.tv_sec > right.tv_sec : left.tv_nsec > right.tv_nsec;
}

timespec Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

}  // namespace

int SetDue(int fd, int64_t due_ms) {
  const std::array<timespec, 2> times = TimesOf(due_ms);
  return RetryInterrupted(::futimens, fd, times.data());
}

int SetDueAt(int directory, const std::string& name, int64_t due_ms) {
  const std::array<timespec, 2> times = TimesOf(due_ms);
  return RetryInterrupted(::utimensat, directory, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
}

// mtime alone does not decide: when the clock steps back, an item enqueued without delay must not become
// delayed. The mtime of such an item is never later than its ctime.
bool IsDelayed(const struct stat& info) {
  const timespec& modified = platform::ModifiedAt(info);
  if (!IsLater(modified, platform::ChangedAt(info))) return false;
  return IsLater(modified, Now());
}

int64_t DueClockMs() {
  const timespec now = Now();
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// After a short delay, or where the clock of the server is ahead, the time has passed by now: it is kept if
// it is exactly the one that was set.
bool KeepsDue(const struct stat& info, int64_t due_ms) {
  return IsLater(platform::ModifiedAt(info), platform::ChangedAt(info)) || DueOf(info) == due_ms;
}

int64_t DueOf(const struct stat& info) {
  const timespec& modified = platform::ModifiedAt(info);
  return int64_t{modified.tv_sec} * 1000 + (modified.tv_nsec + 999'999) / 1'000'000;
}

}  // namespace fsq
