#include "skipped.h"

#include <iterator>
#include <utility>

namespace fsq {
namespace {

constexpr size_t kMostBusy = 128;  // descriptors are few
constexpr size_t kMostDelayed = 1024;

}  // namespace

void Skipped::KeepBusy(std::string_view name, Descriptor opened) {
  // The others are found by the next walk.
  if (busy_.size() < kMostBusy) busy_.insert_or_assign(std::string(name), Busy{std::move(opened), walk_});
}

Descriptor Skipped::TakeBusy(std::string_view name) {
  const auto known = busy_.find(name);
  if (known == busy_.end()) return {};
  Descriptor opened = std::move(known->second.opened);
  busy_.erase(known);
  return opened;
}

void Skipped::KeepDelayed(std::string_view name, int64_t due_ms) {
  delayed_.emplace(due_ms, name);
  if (delayed_.size() > kMostDelayed) delayed_.erase(std::prev(delayed_.end()));
}

std::vector<std::string> Skipped::Names(bool busy, int64_t now_ms) {
  std::vector<std::string> names;
  if (busy) {
    for (const auto& [name, kept] : busy_) names.push_back(name);
  }
  const auto end = delayed_.upper_bound(now_ms);
  for (auto due = delayed_.begin(); due != end; due++) names.push_back(std::move(due->second));
  delayed_.erase(delayed_.begin(), end);
  return names;
}

int64_t Skipped::next_due_ms() const {
  return delayed_.empty() ? 0 : delayed_.begin()->first;
}

void Skipped::BeginWalk() {
  walk_++;
  walking_ = true;
  delayed_.clear();
}

void Skipped::EndWalk() {
  if (!std::exchange(walking_, false)) return;
  std::erase_if(busy_, [&](const auto& entry) { return entry.second.walk != walk_; });
}

}  // namespace fsq
