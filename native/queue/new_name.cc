#include "queue/new_name.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <string_view>

#include "names/digits.h"
#include "platform/platform.h"

namespace fsq {
namespace {

// Longer names cost a second allocation.
constexpr size_t kUsualName = 95;
constexpr uint64_t kMaxJump = uint64_t{1} << 20;

// One counter for the process, shared by all threads and by all copies of the JavaScript layer that load this
// binary.
std::atomic<uint64_t> next_entropy{0};

// Writes delimiter, escape and '/' as "%xx". NUL cannot occur, because FormatTime never produces it.
void AppendEncoded(std::string* name, std::string_view field, const NameForm& form) {
  constexpr char kHex[] = "0123456789abcdef";
  for (const char byte : field) {
    if (byte != form.delimiter && byte != form.escape && byte != '/') {
      name->push_back(byte);
      continue;
    }
    const auto value = static_cast<unsigned char>(byte);
    name->push_back(form.escape);
    name->push_back(kHex[value >> 4]);
    name->push_back(kHex[value & 15]);
  }
}

void AppendEntropy(std::string* name, const NameForm& form, uint64_t entropy) {
  std::array<char, 20> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), entropy).ptr;
  const std::string_view text(digits.data(), static_cast<size_t>(end - digits.data()));
  if (IsDigit(form.delimiter) || IsDigit(form.escape))
    AppendEncoded(name, text, form);
  else
    name->append(text);
}

// Returns whether the head changes within this second. If the process changes its time zone, names use the
// new one from the next second on.
bool AppendHead(std::string* name, const NameForm& form, Instant now) {
  NameForm::Head& head = form.head;
  const std::lock_guard<std::mutex> guard(head.mutex);
  if (head.second != now.seconds || head.varies) {
    head.second = now.seconds;
    head.varies = form.time_format.find("%f") != std::string::npos;
    head.text.assign(1, form.delimiter);
    AppendEncoded(&head.text, FormatTime(form.time_format, now, form.utc), form);
    head.text.append(1, form.delimiter);
  }
  name->append(head.text);
  return head.varies;
}

}  // namespace

uint64_t NewName::RandomStart() {
  // 63 bits, so that the sum with the counter does not overflow.
  static const uint64_t start = platform::RandomNumber() >> 1;
  return start;
}

void NewName::TakeEntropy() {
  entropy_ = next_entropy.fetch_add(1, std::memory_order_relaxed);
}

void NewName::JumpEntropy(int collisions) {
  const uint64_t step = std::min(uint64_t{1} << std::min(collisions, 62), kMaxJump);
  uint64_t noise =
      static_cast<uint64_t>(Now().microseconds) + static_cast<uint64_t>(::getpid()) * 0x9E3779B97F4A7C15u;
  noise ^= noise >> 29;
  const uint64_t jump = step + noise % (step + 1);
  entropy_ = next_entropy.fetch_add(jump + 1, std::memory_order_relaxed) + jump;
}

const std::string& NewName::At(Instant now, const NameForm& form, const std::string& suffix) {
  if (!text_.empty() && made_second_ == now.seconds && made_entropy_ == entropy_ && !varies_) return text_;
  made_second_ = now.seconds;
  made_entropy_ = entropy_;
  text_.clear();
  text_.reserve(kUsualName);
  varies_ = AppendHead(&text_, form, now);
  AppendEntropy(&text_, form, start_ + entropy_);
  text_.append(suffix);
  return text_;
}

}  // namespace fsq
