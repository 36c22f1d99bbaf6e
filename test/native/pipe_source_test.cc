#include "files/pipe_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "calls/descriptor.h"
#include "expect.h"
#include "platform/platform.h"
#include "tests.h"

namespace fsq::test {
namespace {

constexpr size_t kBytes = 5000;
constexpr std::chrono::seconds kPatience{20};

template <typename Condition>
void WaitUntil(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    EXPECT(std::chrono::steady_clock::now() < end);
    std::this_thread::yield();
  }
}

// One byte at a time, which only one of them can get: the other must go on all the same.
void TwoReadersNeverWait(const Descriptor& from, const Descriptor& to) {
  char byte = 0;
  // Older kernels, and macOS, have no such call for pipes.
  if (platform::ReadWithoutWaiting(from.get(), &byte, 1) == -1 && errno == ENOTSUP) return;

  std::atomic<size_t> read{0};
  std::atomic<bool> ended{false};
  std::array<std::atomic<size_t>, 2> calls{};
  std::array<std::thread, 2> readers;
  for (size_t at = 0; at < readers.size(); at++) {
    readers[at] = std::thread([&, at] {
      char into = 0;
      for (; !ended; calls[at]++) {
        const ssize_t size = ReadWhatIsThere(from.get(), &into, 1);
        EXPECT(size == 1 || (size == -1 && errno == EAGAIN));
        if (size == 1) read++;
      }
    });
  }
  for (size_t written = 1; written <= kBytes; written++) {
    EXPECT(::write(to.get(), &byte, 1) == 1);
    WaitUntil([&] { return read == written; });
    const std::array<size_t, 2> before{calls[0], calls[1]};
    WaitUntil([&] { return calls[0] > before[0] && calls[1] > before[1]; });
  }
  ended = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace

void TwoReadersOfOnePipeNeverWait() {
  std::array<int, 2> ends{-1, -1};
  EXPECT(::pipe(ends.data()) == 0);
  TwoReadersNeverWait(Descriptor(ends[0]), Descriptor(ends[1]));

  std::string directory = (std::filesystem::temp_directory_path() / "fsq-test-XXXXXX").string();
  EXPECT(::mkdtemp(directory.data()) != nullptr);
  const std::string fifo = directory + "/fifo";
  EXPECT(::mkfifo(fifo.c_str(), 0600) == 0);
  // Opened for both, so that it need not wait for the other end.
  const Descriptor both(::open(fifo.c_str(), O_RDWR | O_CLOEXEC));
  TwoReadersNeverWait(Descriptor(::open(fifo.c_str(), O_RDONLY | O_CLOEXEC)), both);
  std::filesystem::remove_all(directory);
}

}  // namespace fsq::test
