// What the floor can do; each command prints its result as JSON and ends the process where a call fails.
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
  long steps;  // that are computed for each item
};
void Drain(const DrainOrder& order);

// Says how many steps take so many microseconds here.
void Calibrate(long microseconds);

// Keeps all items of the queue locked until the input ends.
void Hold(const char* queue);

}  // namespace fsq_floor
