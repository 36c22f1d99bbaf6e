// fsq standard, section 3. For durable items, the fastest sequences that survived the simulated power cuts:
// for a lone item RANGE on ext4 and xfs, elsewhere PLAIN; for a group all contents, then all links, then one
// fsync of the directory.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "calls.h"
#include "commands.h"

namespace fsq_floor {
namespace {

constexpr mode_t kMode = 0640;
constexpr int kDigits = 8;  // of the number at the beginning of a payload (bench/lib/payloads.mjs)

// One for each thread.
class Producer {
 public:
  Producer(const EnqueueOrder& order, int queue, int tmp, bool by_range)
      : order_(order),
        queue_(queue),
        tmp_(tmp),
        by_range_(by_range),
        straight_(order.size == 0 && order.delay == 0),
        carries_link_(by_range && order.batch == 1 && !straight_),
        payload_(static_cast<size_t>(order.size), '.') {
    char host[256];
    Check(::gethostname(host, sizeof host), "gethostname");
    char suffix[300];
    snprintf(suffix, sizeof suffix, "_%d_%s_0", static_cast<int>(::getpid()), host);
    suffix_ = suffix;
  }

  // Adds the items `from` up to `to`, then syncs the directory.
  void AddBatch(long from, long to);

 private:
  const char* NameOf(long number);
  void AddEmpty(long number);
  void AddGroup(long from, long to);
  int Build(long number);
  void Link(int fd, long number);

  const EnqueueOrder& order_;
  const int queue_;
  const int tmp_;
  const bool by_range_;
  // Items without contents are complete as soon as they exist.
  const bool straight_;
  // RANGE: the fsync of a lone item also makes its link durable.
  const bool carries_link_;
  bool unnamed_ = true;
  std::string payload_;
  std::string suffix_;
  time_t second_ = 0;
  char time_text_[32] = "";
  char name_[384] = "";
  std::vector<int> building_;
};

const char* Producer::NameOf(long number) {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec != second_) {
    second_ = now.tv_sec;
    tm local;
    ::localtime_r(&second_, &local);
    strftime(time_text_, sizeof time_text_, "%Y%m%d%H%M%S", &local);
  }
  snprintf(name_, sizeof name_, "_%s_%ld%s", time_text_, number, suffix_.c_str());
  return name_;
}

void Producer::AddEmpty(long number) {
  const char* const name = NameOf(number);
  ::close(Check(::openat(queue_, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode), "openat", name));
}

int Producer::Build(long number) {
  int fd = -1;
  if (unnamed_) {
    fd = OpenUnnamed(tmp_, kMode);
    if (fd == -1 && errno == ENOTSUP)
      unnamed_ = false;
    else
      Check(fd, "openat", "tmp");
  }
  if (!unnamed_) {
    const std::string name = std::to_string(number);
    fd = Check(::openat(tmp_, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kMode), "openat", "tmp");
  }
  if (order_.size >= kDigits) {
    char digits[32];
    snprintf(digits, sizeof digits, "%0*ld", kDigits, number);
    payload_.replace(0, kDigits, digits, kDigits);
  }
  for (size_t written = 0; written < payload_.size();) {
    const ssize_t step = ::write(fd, payload_.data() + written, payload_.size() - written);
    if (step == -1) Die("write");
    written += static_cast<size_t>(step);
  }
  if (order_.delay > 0) {
    timespec times[2]{};
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_sec = ::time(nullptr) + order_.delay;
    Check(::futimens(fd, times), "futimens");
  }
  return fd;
}

void Producer::Link(int fd, long number) {
  const char* const name = NameOf(number);
  if (unnamed_) {
    Check(LinkUnnamed(fd, queue_, name), "linkat", name);
    return;
  }
  const std::string temporary = std::to_string(number);
  Check(::linkat(tmp_, temporary.c_str(), queue_, name, 0), "linkat", name);
  Check(::unlinkat(tmp_, temporary.c_str(), 0), "unlinkat", "tmp");
}

void Producer::AddGroup(long from, long to) {
  building_.clear();
  for (long number = from; number < to; number++) building_.push_back(Build(number));
  if (order_.durable != 0) {
    if (building_.size() > 1) {
      for (const int fd : building_) Check(StartWriteback(fd), "sync_file_range");
    }
    for (const int fd : building_) {
      Check(by_range_ ? FinishWriteback(fd) : Sync(fd), "making contents durable");
    }
  }
  for (size_t index = 0; index < building_.size(); index++) {
    Link(building_[index], from + static_cast<long>(index));
  }
  if (order_.durable != 0 && carries_link_) Check(Sync(building_.front()), "fsync");
  for (const int fd : building_) ::close(fd);
}

void Producer::AddBatch(long from, long to) {
  if (straight_) {
    for (long number = from; number < to; number++) AddEmpty(number);
  } else {
    for (long at = from; at < to; at += order_.group) AddGroup(at, std::min(at + order_.group, to));
  }
  if (order_.durable != 0 && !carries_link_) Check(Sync(queue_), "fsync", "queue");
}

}  // namespace

void Enqueue(const EnqueueOrder& order) {
  const Descriptor queue(OpenDirectory(order.queue, "queue"));
  const Descriptor tmp(OpenDirectory(order.queue, "tmp"));
  ::umask(0);
  const bool by_range = SyncsByRange(queue.get());
  std::atomic<long> next{order.first};
  const long end = order.first + order.count;
  const auto run = [&] {
    Producer producer(order, queue.get(), tmp.get(), by_range);
    for (;;) {
      const long from = next.fetch_add(order.batch);
      if (from >= end) return;
      producer.AddBatch(from, std::min(from + order.batch, end));
    }
  };
  const double begin = Now();
  std::vector<std::thread> others;
  for (long thread = 1; thread < order.threads; thread++) others.emplace_back(run);
  run();
  for (std::thread& other : others) other.join();
  printf("{\"milliseconds\": %.3f}\n", (Now() - begin) * 1000);
}

}  // namespace fsq_floor
