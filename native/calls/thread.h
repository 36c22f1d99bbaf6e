// Threads that the addon starts itself.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace fsq {

// Starts a thread that handles no signals of the process. 0, or a positive error number.
inline int StartThread(pthread_t* thread, void* (*run)(void*), void* argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, nullptr, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace fsq
