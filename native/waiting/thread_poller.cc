#include "waiting/thread_poller.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "calls/thread.h"
#include "platform/platform.h"

namespace fsq {

Failure ThreadPoller::Add(int descriptor) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    polled_.push_back(descriptor);
  }
  if (!interrupt_.valid()) {
    Failure failure = Start();
    if (failure) Remove(descriptor);
    return failure;
  }
  Interrupt();
  return {};
}

void ThreadPoller::Remove(int descriptor) {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    std::erase(polled_, descriptor);
  }
  if (interrupt_.valid()) Interrupt();
}

Failure ThreadPoller::Start() {
  std::array<int, 2> ends{-1, -1};
  if (platform::OpenPipe(ends.data()) == -1) return Failure{LastError(), "pipe"};
  interrupted_ = Descriptor(ends[0]);
  interrupt_ = Descriptor(ends[1]);
  running_ = true;
  const int error = StartThread(&thread_, Run, this);
  if (error == 0) return {};
  running_ = false;
  interrupt_.Reset();
  interrupted_.Reset();
  return Failure{-error, "pthread_create"};
}

void ThreadPoller::Rest() {
  if (!interrupt_.valid()) return;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (!polled_.empty()) return;
    running_ = false;
  }
  Interrupt();
  pthread_join(thread_, nullptr);
  interrupt_.Reset();
  interrupted_.Reset();
}

void ThreadPoller::Interrupt() const {
  // EAGAIN: the pipe is full, so the thread will wake up anyway.
  const char byte = 0;
  (void)RetryInterrupted(::write, interrupt_.get(), &byte, size_t{1});
}

void* ThreadPoller::Run(void* self) {
  static_cast<ThreadPoller*>(self)->Loop();
  return nullptr;
}

void ThreadPoller::Loop() {
  std::vector<pollfd> polled;
  for (;;) {
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      if (!running_) return;
      polled = {{interrupted_.get(), POLLIN, 0}};
      for (const int descriptor : polled_) polled.push_back({descriptor, POLLIN, 0});
    }
    if (RetryInterrupted(::poll, polled.data(), static_cast<nfds_t>(polled.size()), -1) <= 0) continue;
    if (polled[0].revents != 0) {
      std::array<char, 64> bytes;
      while (RetryInterrupted(::read, interrupted_.get(), bytes.data(), bytes.size()) > 0) {
      }
    }
    for (size_t at = 1; at < polled.size(); at++) {
      // The descriptor may have been removed meanwhile, and its number reused for another file.
      if (polled[at].revents != 0 && IsPolled(polled[at].fd)) ready(polled[at].fd);
    }
  }
}

bool ThreadPoller::IsPolled(int descriptor) {
  const std::lock_guard<std::mutex> guard(mutex_);
  return running_ && std::find(polled_.begin(), polled_.end(), descriptor) != polled_.end();
}

}  // namespace fsq
