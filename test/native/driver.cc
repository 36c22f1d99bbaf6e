// Stands in for libFuzzer, which only clang has: inputs made at random of pieces and bytes, the same ones for
// the same seed, so that a run that failed can be run again alone.
//
//     fuzz_NAME [RUNS [SEED [FIRST]]]
#include <signal.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "fuzz_target.h"

namespace {

constexpr uint64_t kMostPieces = 40;

uint64_t seed = 1;
uint64_t run = 0;

void SayWhich(int) {
  char text[96];
  const int size =
      std::snprintf(text, sizeof text, "This was run %" PRIu64 " of seed %" PRIu64 "\n", run, seed);
  (void)!::write(STDERR_FILENO, text, static_cast<size_t>(size));
}

std::string InputOf(uint64_t number) {
  // Not <random>'s distributions, which differ from one library to the next.
  std::mt19937_64 random(seed * 0x9E3779B97F4A7C15u + number);
  const auto pieces = fsq::test::FuzzPieces();
  std::string input;
  for (uint64_t count = random() % kMostPieces; count > 0; count--) {
    if (random() % 8 == 0)
      input.push_back(static_cast<char>(random()));
    else
      input.append(pieces[random() % pieces.size()]);
  }
  return input;
}

}  // namespace

int main(int count, char** values) {
  const auto number = [&](int at, uint64_t otherwise) {
    return count > at ? std::strtoull(values[at], nullptr, 10) : otherwise;
  };
  const uint64_t runs = number(1, 10'000);
  seed = number(2, seed);
  const uint64_t first = number(3, 0);
  struct sigaction action {};
  action.sa_handler = SayWhich;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGABRT, &action, nullptr);
  for (run = first; run < first + runs; run++) {
    const std::string input = InputOf(run);
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
}
