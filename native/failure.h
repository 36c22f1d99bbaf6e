// What a failed system call leaves behind: a value, not an exception. TypeScript makes the error of it.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

namespace fsq {

struct Failure {
  int error = 0;  // a negative errno; 0: nothing failed
  const char* syscall = "";
  std::string path;  // raw bytes; relative to the queue unless it starts with '/'
  std::string dest;

  explicit operator bool() const { return error != 0; }
};

// -errno. In `Failure{LastError(), ..., PathOf(...)}` it is read before the rest is made, as braces keep the
// order.
int LastError();

// "queue" and "NAME" to "queue/NAME".
std::string JoinPath(std::string_view directory, std::string_view name);

// Repeats a call that a signal interrupted. Not for close(2).
template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

}  // namespace fsq
