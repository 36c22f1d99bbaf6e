// Numbered points around each system call, for tests that need a race or a crash to be certain.
//
// In the release build FSQ_CALL(point, call) is the call. In the fault-point build (FSQ_FAULT_POINTS) a test
// chooses, by the variable FSQ_FAULTS or by setFaults(), what happens there:
//
//     point[#n]=action[;...]      #n: only the n-th time this point is reached
//     kill | kill-after           SIGKILL to this process before or after the call
//     errno:N                     the call is not made; it fails with errno N
//     answer:N                    the call is not made; it returns N
//     pause:FILE | pause-after:FILE   makes FILE and waits until somebody removes it
#pragma once

#ifdef FSQ_FAULT_POINTS

#include <string>
#include <vector>

namespace fsq::fault {

// True: the call must not be made; it returns Answer(), with the errno that is set now.
bool Enter(const char* point);
int Answer();
void Leave(const char* point);
void Set(const std::string& specification);
std::vector<std::string> Points();

template <typename Result>
Result LeaveWith(const char* point, Result result) {
  Leave(point);
  return result;
}

}  // namespace fsq::fault

#define FSQ_CALL(point, call) \
  (::fsq::fault::Enter(point) ? ::fsq::fault::Answer() : ::fsq::fault::LeaveWith(point, (call)))

#else

#define FSQ_CALL(point, call) (call)

#endif
