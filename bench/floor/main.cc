// floor enqueue|drain|hold QUEUE [KEY=VALUE ...]
// floor calibrate MICROSECONDS
//
// The sequences of system calls that the queue is made of, and nothing besides: what no implementation can
// beat with the same calls. Times are taken inside, without the start of the process.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string_view>

#include "commands.h"

namespace {

// The number after `key=`; `fallback` if there is none.
long Value(int argc, char** argv, std::string_view key, long fallback) {
  for (int index = 3; index < argc; index++) {
    const std::string_view argument(argv[index]);
    if (argument.starts_with(key) && argument.substr(key.size()).starts_with('='))
      return atol(argv[index] + key.size() + 1);
  }
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "floor enqueue|drain|hold QUEUE [KEY=VALUE ...] | floor calibrate MICROSECONDS\n");
    return 2;
  }
  const auto value = [&](std::string_view key, long fallback) { return Value(argc, argv, key, fallback); };
  const std::string_view command = argv[1];
  const char* const queue = argv[2];
  if (command == "enqueue") {
    fsq_floor::Enqueue({queue, value("count", 1), value("size", 0), value("durable", 0), value("group", 1),
                        value("batch", 1), value("threads", 1), value("delay", 0), value("first", 0)});
  } else if (command == "drain") {
    fsq_floor::Drain({queue, value("processes", 1), value("steps", 0), value("rename", 0)});
  } else if (command == "calibrate") {
    fsq_floor::Calibrate(atol(argv[2]));
  } else if (command == "hold") {
    fsq_floor::Hold(queue);
  } else {
    fprintf(stderr, "floor: no command %s\n", argv[1]);
    return 2;
  }
  return 0;
}
