// Numbered points around each system call, for tests that need a race or a crash to be certain.
//
// In the release build FSQ_CALL(point, call) is the call, repeated where a signal interrupted it, and
// FSQ_CALL_ONCE(point, call) is the call, for RetryUnlessMade. In the fault-point build (FSQ_FAULT_POINTS) a
// test chooses, by the variable FSQ_FAULTS or by setFaults(), what happens there:
//
//     point[#n]=action[;...]      #n: only the n-th time this point is reached
//     kill | kill-after           SIGKILL to this process before or after the call
//     errno:N                     the call is not made; it fails with errno N
//     errno-after:N               the call is made, and says errno N whatever came of it
//     pause:FILE | pause-after:FILE   makes FILE and waits until somebody removes it
//     answer:N            where the code says FSQ_ANSWER after the call: N stands in the place of what the
//     call answered
#pragma once

#include "calls/failure.h"

#ifdef FSQ_FAULT_POINTS

#include <string>
#include <vector>

namespace fsq::fault {

// True: the call must not be made and fails with the errno that is set now.
bool Enter(const char* point);
// True: the call has failed with the errno that is set now, whatever it said.
bool Leave(const char* point);
void Set(const std::string& specification);
std::vector<std::string> Points();
// Whether a test has chosen another answer for the call made last at the point.
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
