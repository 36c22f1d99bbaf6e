// Preloaded into bindfs, which passes the fcntl locks of all its files on as locks of its own process. So
// they exclude no two processes on one mount. This makes them locks of the open file, as a file server keeps
// them.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>

extern "C" int fcntl64(int fd, int command, ...) {
  std::va_list rest;
  va_start(rest, command);
  void* const argument = va_arg(rest, void*);
  va_end(rest);
  switch (command) {
    case F_GETLK:
      command = F_OFD_GETLK;
      break;
    case F_SETLK:
      command = F_OFD_SETLK;
      break;
    case F_SETLKW:
      command = F_OFD_SETLKW;
      break;
    default:
      return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
  }
  static_cast<struct flock*>(argument)->l_pid = 0;
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}
