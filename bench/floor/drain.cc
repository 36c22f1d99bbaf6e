// fsq standard, sections 4, 5 and 11: claims, checks, reads, moves to done/ and unlocks each item.
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "calls.h"
#include "commands.h"
#include "compute.h"
#include "listing.h"

namespace fsq_floor {
namespace {

// The counts of one process, in memory that all processes share.
struct Tally {
  double begin;
  double first;  // when the first item was claimed; 0: none was
  double end;
  uint64_t taken;
  uint64_t bytes;
  uint64_t numbers;  // the sum of the numbers in the names
};

class Worker {
 public:
  Worker(const char* queue, uint64_t steps, bool renames)
      : queue_(OpenDirectory(queue, "queue")),
        done_(OpenDirectory(queue, "done")),
        mine_(renames ? MakeOwn(queue) : -1),
        steps_(steps) {}

  void Run(Tally& tally);

 private:
  static int MakeOwn(const char* queue);
  bool Take(const char* name, Tally& tally);
  bool TakeByRename(const char* name, Tally& tally);
  void Read(int fd, const struct stat& info, const char* name);
  void Count(Tally& tally) const;

  const Descriptor queue_;
  const Descriptor done_;
  const Descriptor mine_;  // -1: items are locked
  const uint64_t steps_;
  std::vector<char> buffer_;
};

bool Worker::Take(const char* name, Tally& tally) {
  const int fd = ::openat(queue_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd == -1 && errno == ENOENT) return false;
  const Descriptor item(Check(fd, "openat", name));
  if (::flock(fd, LOCK_EX | LOCK_NB) == -1) {
    if (errno != EWOULDBLOCK) Die("flock", name);
    return false;
  }
  struct stat info;
  struct stat named;
  Check(::fstat(fd, &info), "fstat", name);
  const bool here = ::fstatat(queue_.get(), name, &named, AT_SYMLINK_NOFOLLOW) == 0;
  if (!here && errno != ENOENT) Die("fstatat", name);
  const bool ours = here && named.st_ino == info.st_ino && named.st_dev == info.st_dev;
  if (!ours || info.st_mtime > ::time(nullptr)) {
    Check(::flock(fd, LOCK_UN), "flock", name);
    return false;
  }
  Read(fd, info, name);
  Count(tally);
  Check(RenameExclusive(queue_.get(), name, done_.get(), name), "renameat2", name);
  Check(::flock(fd, LOCK_UN), "flock", name);
  return true;
}

// A directory of this process, below claimed/. There is one worker and no other, so it has no lock.
int Worker::MakeOwn(const char* queue) {
  const std::string name = "claimed/floor-" + std::to_string(::getpid());
  Check(::mkdir((std::string(queue) + "/" + name).c_str(), 0700), "mkdir", name.c_str());
  return OpenDirectory(queue, name.c_str());
}

bool Worker::TakeByRename(const char* name, Tally& tally) {
  struct stat info;
  const bool here = ::fstatat(queue_.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0;
  if (!here && errno != ENOENT) Die("fstatat", name);
  if (!here || info.st_mtime > ::time(nullptr)) return false;
  if (RenameExclusive(queue_.get(), name, mine_.get(), name) == -1) {
    if (errno != ENOENT) Die("renameat2", name);
    return false;
  }
  {
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const Descriptor item(Check(::openat(mine_.get(), name, flags), "openat", name));
    Check(::fstat(item.get(), &info), "fstat", name);
    Read(item.get(), info, name);
  }
  Count(tally);
  Check(RenameExclusive(mine_.get(), name, done_.get(), name), "renameat2", name);
  return true;
}

void Worker::Read(int fd, const struct stat& info, const char* name) {
  buffer_.resize(static_cast<size_t>(info.st_size));
  for (size_t got = 0; got < buffer_.size();) {
    const ssize_t step = ::pread(fd, buffer_.data() + got, buffer_.size() - got, static_cast<off_t>(got));
    if (step <= 0) Die("pread", name);
    got += static_cast<size_t>(step);
  }
}

void Worker::Count(Tally& tally) const {
  if (tally.taken == 0) tally.first = Now();
  if (steps_ > 0) Compute(steps_);
  tally.taken++;
  tally.bytes += buffer_.size();
}

void Worker::Run(Tally& tally) {
  tally.begin = Now();
  const Listing listing(queue_.get());
  for (const Listing::Entry& entry : listing.entries()) {
    const char* const name = listing.NameOf(entry);
    if (mine_.get() == -1 ? Take(name, tally) : TakeByRename(name, tally)) tally.numbers += entry.entropy;
  }
  tally.end = Now();
}

}  // namespace

void Drain(const DrainOrder& order) {
  const auto steps = static_cast<uint64_t>(order.steps);
  const auto count = static_cast<size_t>(order.processes);
  void* const shared =
      ::mmap(nullptr, count * sizeof(Tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) Die("mmap");
  Tally* const tallies = new (shared) Tally[count]{};

  // All processes begin when the other end is closed.
  int gate[2];
  Check(::pipe(gate), "pipe");
  for (size_t index = 0; index < count; index++) {
    if (Check(::fork(), "fork") != 0) continue;
    EndWithParent();
    Worker worker(order.queue, steps, order.rename != 0);
    ::close(gate[1]);
    char byte;
    if (::read(gate[0], &byte, 1) == -1) Die("read");
    worker.Run(tallies[index]);
    ::_exit(0);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  bool failed = false;
  for (size_t index = 0; index < count; index++) {
    int status = 0;
    Check(::wait(&status), "wait");
    failed = failed || status != 0;
  }
  if (failed) ::_exit(1);

  Tally all = tallies[0];
  for (size_t index = 1; index < count; index++) {
    const Tally& tally = tallies[index];
    if (tally.begin < all.begin) all.begin = tally.begin;
    if (tally.end > all.end) all.end = tally.end;
    if (all.first == 0 || (tally.first != 0 && tally.first < all.first)) all.first = tally.first;
    all.taken += tally.taken;
    all.bytes += tally.bytes;
    all.numbers += tally.numbers;
  }
  printf("{\"milliseconds\": %.3f, \"firstMs\": %.3f, \"taken\": %llu, \"bytes\": %llu, \"numbers\": %llu}\n",
         (all.end - all.begin) * 1000, all.first == 0 ? 0 : (all.first - all.begin) * 1000,
         static_cast<unsigned long long>(all.taken), static_cast<unsigned long long>(all.bytes),
         static_cast<unsigned long long>(all.numbers));
}

}  // namespace fsq_floor
