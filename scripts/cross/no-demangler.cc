// The C++ library that zig links in has a terminate handler that prints the demangled name of an exception.
// Here nothing throws, and the demangler would be more than a third of the binary: this one does nothing.
extern "C" char* __cxa_demangle(const char*, char*, unsigned long*, int* status) {
  if (status != nullptr) *status = -2;  // not a valid mangled name
  return nullptr;
}
