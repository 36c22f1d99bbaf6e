# Overrides of CMake's rules for macOS. Without room for longer library names, which no tool will put in, the binary is
# a page of 16 kB smaller.
if(APPLE)
  set(CMAKE_SHARED_LIBRARY_CREATE_CXX_FLAGS "-dynamiclib")
endif()
