// New files that get the mode and the owner of another one.
#pragma once

#include <sys/stat.h>

#include <string>

#include "calls/descriptor.h"

namespace fsq {

// Gives an open file the owner of `like`, as far as this process may do that, and a mode. 0, or -1 with
// errno.
int AdornLike(int fd, const struct stat& like, mode_t mode);

// Makes a directory with the mode and the owner of `like`, and opens it. Null, or the system call that has
// failed, with errno; EEXIST: the name is taken.
const char* MakeDirectoryLike(int parent, const std::string& name, const struct stat& like,
                              Descriptor* opened);

}  // namespace fsq
