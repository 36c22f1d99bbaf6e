#include "files/prune.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "calls/fault_point.h"
#include "files/file_info.h"
#include "platform/platform.h"

namespace fsq {
namespace {

// Calls `visit` for the next files with what is known of them. Returns whether there is nothing behind them.
bool VisitNext(int directory, Stopping stopping, Failure* failure,
               const std::function<void(const char* name, const struct stat& info)>& visit) {
  const int result = platform::ReadNextEntries(directory, [&](const platform::DirectoryEntry& entry) {
    if (entry.type != platform::EntryType::kRegular && entry.type != platform::EntryType::kUnknown)
      return !stopping.requested();
    const char* const name = entry.name.data();
    struct stat info;
    if (FSQ_CALL("prune.stat", ::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW)) == 0) {
      if (S_ISREG(info.st_mode)) visit(name, info);
    } else if (errno != ENOENT && !*failure) {
      *failure = Failure{LastError(), "fstatat", std::string(entry.name), {}};
    }
    return !stopping.requested();
  });
  if (result == 1) return false;
  if (result == -1 && errno != ENOENT) *failure = Failure{LastError(), "getdents64", {}, {}};
  (void)RetryInterrupted(::lseek, directory, 0, SEEK_SET);
  return true;
}

}  // namespace

Pruned PruneNext(int directory, const PruneLimits& limits, bool named, Stopping stopping) {
  Pruned pruned;
  pruned.is_over =
      VisitNext(directory, stopping, &pruned.failure, [&](const char* name, const struct stat& info) {
        const int64_t changed = ChangedUs(info);
        const bool is_equal = changed == limits.before_us && pruned.equals < limits.equals;
        if (changed >= limits.before_us && !is_equal) return;
        if (info.st_nlink > 1) {
          pruned.linked.emplace_back(name);
          return;
        }
        if (FSQ_CALL("prune.unlink", ::unlinkat(directory, name, 0)) == -1) {
          if (errno != ENOENT && !pruned.failure) pruned.failure = Failure{LastError(), "unlink", name, {}};
          return;
        }
        pruned.count++;
        if (is_equal) pruned.equals++;
        if (named) pruned.removed.emplace_back(name);
      });
  return pruned;
}

std::vector<double> ChangesNext(int directory, bool* is_over, Stopping stopping, Failure* failure) {
  std::vector<double> changes;
  *is_over = VisitNext(directory, stopping, failure, [&](const char*, const struct stat& info) {
    changes.push_back(static_cast<double>(ChangedUs(info)));
  });
  return changes;
}

}  // namespace fsq
