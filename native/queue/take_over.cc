#include "queue/take_over.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "calls/fault_point.h"
#include "files/file_info.h"
#include "queue/half_move.h"

namespace fsq {
namespace {

// More than the lines of any worker.
constexpr size_t kMostBytes = size_t{16} << 20;

// The directories in claimed/, but for our own. 0, or -1 with errno.
int ListWorkers(const QueueDirectory& queue, const Descriptor& claimed, std::vector<std::string>* names) {
  std::shared_ptr<WorkerDirectory> own = queue.KnownWorker();
  // The server may have kept the lock, and then no other worker can free the items.
  if (own && own->IsLost()) {
    (void)queue.ForgetWorker();
    own = nullptr;
  }
  return platform::ReadEntries(claimed.get(), [&](const platform::DirectoryEntry& entry) {
    const bool may_be =
        entry.type == platform::EntryType::kDirectory || entry.type == platform::EntryType::kUnknown;
    if (may_be && WorkerDirectory::IsName(entry.name) && (!own || entry.name != own->name()))
      names->emplace_back(entry.name);
    return true;
  });
}

// Reads as much as it can: only the crash marks need the lines. Without them, the items go back all the same.
std::string ReadLines(int fd) {
  std::string lines;
  std::array<char, 4096> block;
  while (lines.size() < kMostBytes) {
    const ssize_t got =
        FSQ_CALL("takeover.read", ::pread(fd, block.data(), block.size(), static_cast<off_t>(lines.size())));
    if (got <= 0) break;
    lines.append(block.data(), static_cast<size_t>(got));
  }
  return lines;
}

// Finds the items. 0, or -1 with errno.
int FindItems(const QueueDirectory& queue, Seized& seized) {
  const WorkerDirectory& directory = *seized.directory;
  std::vector<std::string> names;
  const int visited = directory.Visit([&](const platform::DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  if (visited == -1) return -1;
  for (std::string& name : names) {
    struct stat info;
    if (FSQ_CALL("takeover.look", ::fstatat(directory.fd(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW)) ==
        -1) {
      if (errno == ENOENT) continue;
      return -1;
    }
    if (!S_ISREG(info.st_mode)) continue;
    const int completed =
        info.st_nlink == 1
            ? 0
            : CompleteHalfMove(queue, {.holder = &directory, .name = name, .info = info, .is_dead = true});
    if (completed == -1) return -1;
    if (completed == 0) seized.items.push_back({std::move(name), info});
  }
  return 0;
}

}  // namespace

std::vector<Seized> SeizeDead(const QueueDirectory& queue, Stopping stopping, Failure* failure) {
  const auto fail = [&](const char* syscall) {
    *failure = Failure{LastError(), syscall, queue.PathOfClaimed("")};
  };
  std::vector<Seized> all;
  const Descriptor claimed(queue.ListClaimed());
  if (!claimed.valid()) {
    if (errno != ENOENT) fail("openat");
    return all;
  }
  std::vector<std::string> names;
  if (ListWorkers(queue, claimed, &names) == -1) {
    fail("getdents64");
    return all;
  }
  // One directory that cannot be taken over must not keep the items in the others.
  const auto note = [&](Failure problem) {
    if (!*failure) *failure = std::move(problem);
  };
  for (const std::string& name : names) {
    if (stopping.requested()) break;
    Seized seized;
    Failure problem;
    seized.directory = WorkerDirectory::Seize(queue, claimed.get(), name, queue.lease_ms(), &problem);
    if (problem) note(std::move(problem));
    if (!seized.directory) continue;
    seized.lines = ReadLines(seized.directory->lock_descriptor());
    if (FindItems(queue, seized) == -1) {
      problem = Failure{LastError(), "fstatat", queue.PathOfClaimed(name)};
      // A cached look at `.lock` may have missed that another worker has taken it over and removed it.
      if (!seized.directory->HasVanished()) note(std::move(problem));
      continue;
    }
    all.push_back(std::move(seized));
  }
  return all;
}

}  // namespace fsq
