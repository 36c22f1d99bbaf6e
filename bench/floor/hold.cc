#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "calls.h"
#include "commands.h"
#include "listing.h"

namespace fsq_floor {
namespace {

constexpr size_t kSpare = 64;

// How many locks one process can hold: each takes a descriptor.
size_t RaiseLimit() {
  constexpr rlim_t kEnough = 1'000'000;
  rlimit limit;
  Check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = std::min(limit.rlim_max, kEnough);
  // If the kernel allows less than it reports, the limit stays as it was.
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  Check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  return static_cast<size_t>(limit.rlim_cur) - kSpare;
}

void WaitForEnd(int fd) {
  char byte;
  while (::read(fd, &byte, 1) > 0) {
  }
}

}  // namespace

void Hold(const char* queue) {
  const Descriptor directory(OpenDirectory(queue, "queue"));
  const size_t most = RaiseLimit();
  const Listing listing(directory.get());
  const auto& entries = listing.entries();
  // Each holder writes one byte when it has locked its part.
  int held[2];
  Check(::pipe(held), "pipe");
  size_t holders = 0;
  for (size_t from = 0; from < entries.size(); from += most, holders++) {
    if (Check(::fork(), "fork") != 0) continue;
    EndWithParent();
    ::close(held[0]);
    for (size_t index = from; index < std::min(from + most, entries.size()); index++) {
      const char* const name = listing.NameOf(entries[index]);
      const int fd = Check(::openat(directory.get(), name, O_RDONLY | O_CLOEXEC), "openat", name);
      Check(::flock(fd, LOCK_EX | LOCK_NB), "flock", name);
    }
    if (::write(held[1], "h", 1) != 1) Die("write");
    WaitForEnd(STDIN_FILENO);
    ::_exit(0);
  }
  ::close(held[1]);
  for (size_t holder = 0; holder < holders; holder++) {
    char byte;
    if (::read(held[0], &byte, 1) != 1) ::_exit(1);
  }
  printf("{\"held\": %zu}\n", entries.size());
  fflush(stdout);
  WaitForEnd(STDIN_FILENO);
}

}  // namespace fsq_floor
