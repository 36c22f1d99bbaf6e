// Named points around each system call, for tests that need a race or a crash to happen for certain.
//
// In the release build FSQ_CALL(point, call) is the call, repeated when a signal interrupts it, and
// FSQ_CALL_ONCE(point, call) is the bare call, for RetryUnlessMade. In the fault-point build
// (FSQ_FAULT_POINTS) a test chooses what happens there, by the variable FSQ_FAULTS or by setFaults():
//
//     point[#n]=action[;...]      #n: only the n-th time this point is reached
//     kill | kill-after           SIGKILL to this process before or after the call
//     errno:N                     the call is not made; it fails with errno N
//     errno-after:N               the call is made, and then fails with errno N whatever its result
//     delay:MS                    the call begins so many milliseconds later, as on a slow disk
//     pause:FILE | pause-after:FILE   creates FILE and waits until it is removed
//     answer:N                    only where FSQ_ANSWER follows the call: N replaces the result of the call
#pragma once

#include "calls/failure.h"

#ifdef FSQ_FAULT_POINTS

#include <string>
#include <vector>

namespace fsq::fault {

// True: the call must be skipped; it fails with the errno that is now set.
bool Enter(const char* point);
// True: the call counts as failed with the errno that is now set, whatever its result.
bool Leave(const char* point);
void Set(const std::string& specification);
std::vector<std::string> Points();
// How often each of them has been reached since the last Set.
std::vector<unsigned> Hits();
// Whether a test has chosen another answer for the latest call at this point.
bool HasAnswer(const char* point, long long* answer);

template <typename Result>
Result LeaveWith(const char* point, Result result) {
  return Leave(point) ? static_cast<Result>(-1) : result;
}

template <typename Value>
Value AnswerOr(const char* point, Value value) {
  long long answer = 0;
  return HasAnswer(point, &answer) ? static_cast<Value>(answer) : value;
}

}  // namespace fsq::fault

#define FSQ_CALL_ONCE(point, call) (::fsq::fault::Enter(point) ? -1 : ::fsq::fault::LeaveWith(point, (call)))

#define FSQ_ANSWER(point, value) (::fsq::fault::AnswerOr(point, (value)))

#else

#define FSQ_CALL_ONCE(point, call) (call)
#define FSQ_ANSWER(point, value) (value)

#endif

#define FSQ_CALL(point, call) (::fsq::RetryInterrupted([&] { return FSQ_CALL_ONCE(point, call); }))
