// A failed system call, as a value rather than an exception. TypeScript turns it into an error.
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

// -errno. Safe as the first member of `Failure{LastError(), ..., PathOf(...)}`: braces evaluate in order, so
// errno is read before the other members can change it.
int LastError();

// "queue" and "NAME" to "queue/NAME".
std::string JoinPath(std::string_view directory, std::string_view name);

// Repeats a call that a signal interrupted. On FUSE and network file systems any call can be interrupted. Not
// for close(2).
template <typename Call, typename... Arguments>
auto RetryInterrupted(Call call, Arguments... arguments) {
  auto result = call(arguments...);
  while (result == -1 && errno == EINTR) result = call(arguments...);
  return result;
}

// The same for a call that must take effect only once (link, rename, unlink, mkdir). An interrupted call may
// have taken effect, and repeating it would then fail or undo it. So from the first interruption on,
// `was_made` checks after each failure whether the call has taken effect.
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
