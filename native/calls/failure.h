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

// Repeats a call that a signal interrupted, which file systems in user space and network file systems let
// happen to any call. Not for close(2).
template <typename Call, typename... Arguments>
auto RetryInterrupted(Call call, Arguments... arguments) {
  auto result = call(arguments...);
  while (result == -1 && errno == EINTR) result = call(arguments...);
  return result;
}

// The same for a call that must be made once only (link, rename, unlink, mkdir): it may have been made
// although it was interrupted, and the next one then fails, or undoes it. So `was_made` looks after each
// failure from the first interruption on.
template <typename Call, typename WasMade>
int RetryUnlessMade(Call call, WasMade was_made) {
  for (bool interrupted = false;;) {
    const int result = call();
    if (result != -1) return result;
    const int error = errno;
    interrupted = interrupted || error == EINTR;
    if (interrupted && was_made()) return 0;
    errno = error;
    if (error != EINTR) return -1;
  }
}

}  // namespace fsq
