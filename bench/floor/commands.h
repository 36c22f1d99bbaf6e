// The commands of the floor. Each prints its result as JSON, and ends the process if a call fails.
#pragma once

namespace fsq_floor {

struct EnqueueOrder {
  const char* queue;
  long count;
  long size;     // bytes an item
  long durable;  // 0 or 1
  long group;    // items whose contents are made durable together
  long batch;    // items after which the directory is made durable
  long threads;  // without durability only
  long delay;    // seconds until they are due; 0: at once
  long first;    // number of the first
};
void Enqueue(const EnqueueOrder& order);

struct DrainOrder {
  const char* queue;
  long processes;
  long steps;   // computed for each item
  long rename;  // 1: items are claimed by renaming them into claimed/floor-PID
};
void Drain(const DrainOrder& order);

// Prints how many steps take this many microseconds here.
void Calibrate(long microseconds);

// Keeps all items of the queue locked until standard input ends.
void Hold(const char* queue);

}  // namespace fsq_floor
