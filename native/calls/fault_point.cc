#include "calls/fault_point.h"

#ifdef FSQ_FAULT_POINTS

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>

namespace fsq::fault {
namespace {

// All points, so that a test can visit each of them. Reaching a point that is not listed aborts.
constexpr const char* kPoints[] = {
    "open.directory",   "open.fstatfs",     "list.open",         "list.getdents",     "claim.down",
    "claim.look",       "claim.open",       "claim.lock",        "claim.fstat",       "claim.fstatat",
    "claim.twin",       "claim.complete",   "claim.exclusive",   "claim.read",        "claim.unlock",
    "enqueue.source",   "enqueue.open",     "enqueue.write",     "enqueue.copy",      "enqueue.chown",
    "enqueue.chmod",    "enqueue.utimens",  "enqueue.fsync",     "enqueue.stat",      "enqueue.link",
    "enqueue.unlink",   "enqueue.fsyncdir", "enqueue.writesout", "enqueue.read",      "finish.utimens",
    "finish.stat",      "finish.rename",    "finish.link",       "finish.unlink",     "finish.fsyncdir",
    "install.openroot", "install.mkdir",    "install.opendir",   "install.lock",      "install.chown",
    "install.chmod",    "install.fsync",    "install.rename",    "install.fsyncroot", "install.cleanup",
    "install.marker",   "retire.rename",    "retire.fsyncroot",  "lock.look",         "lock.open",
    "lock.fstat",       "lock.lock",        "lock.stat",         "probe.open",        "probe.write",
    "probe.unnamed",    "probe.emptypath",  "probe.procfd",      "probe.link",        "probe.exclusive",
    "probe.exchange",   "probe.flock",      "probe.ofd",         "probe.utimens",     "probe.chmod",
    "probe.fifo",       "probe.sync",       "probe.copy",        "trigger.mkfifo",    "trigger.open",
    "watch.init",       "watch.add",        "watch.read",        "look.refresh",      "finish.look",
    "list.stat",        "log.open",         "log.lock",          "log.stat",          "log.look",
    "log.chown",        "log.chmod",        "log.read",          "log.write",         "finish.fstat",
    "claim.kind",       "enqueue.fstat",    "enqueue.delayed",   "finish.delayed",    "claim.access",
    "claim.rename",     "worker.mkdir",     "worker.chown",      "worker.chmod",      "worker.open",
    "worker.write",     "worker.guard",     "worker.lock",       "worker.look",       "worker.fsync",
    "worker.unlink",    "worker.rmdir",     "takeover.open",     "takeover.lock",     "takeover.look",
    "takeover.read",    "fence.read",       "item.open",         "install.write",     "install.fifo",
    "receive.look",     "receive.rename",   "worker.own",        "worker.disown",     "takeover.disown",
    "finish.disown",    "worker.clock",     "prune.stat",        "prune.unlink",
};

struct Rule {
  std::string point;
  unsigned nth = 0;  // 0: each time
  std::string action;
  std::string argument;
};

struct State {
  std::mutex mutex;
  std::vector<Rule> rules;
  std::map<std::string, unsigned, std::less<>> hits;
};

// Created at first use and never freed: other threads may be at a point while the process exits.
State& TheState() {
  static State* state = new State;
  return *state;
}

std::vector<Rule> ParseRules(std::string_view text) {
  std::vector<Rule> rules;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    Rule rule;
    std::string_view where = part.substr(0, equals);
    std::string_view what = part.substr(equals + 1);
    if (const size_t hash = where.find('#'); hash != std::string_view::npos) {
      rule.nth =
          static_cast<unsigned>(std::strtoul(std::string(where.substr(hash + 1)).c_str(), nullptr, 10));
      where = where.substr(0, hash);
    }
    if (const size_t colon = what.find(':'); colon != std::string_view::npos) {
      rule.argument = what.substr(colon + 1);
      what = what.substr(0, colon);
    }
    rule.point = where;
    rule.action = what;
    rules.push_back(std::move(rule));
  }
  return rules;
}

void LoadEnvironmentOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (const char* text = std::getenv("FSQ_FAULTS")) Set(text);
  });
}

bool Listed(std::string_view point) {
  return std::any_of(std::begin(kPoints), std::end(kPoints),
                     [&](const char* known) { return point == known; });
}

void Delay(int milliseconds) {
  const timespec step{milliseconds / 1000, milliseconds % 1000 * 1'000'000L};
  ::nanosleep(&step, nullptr);
}

void PauseUntilRemoved(const std::string& file) {
  const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  const timespec step{0, 200'000};
  struct stat info;
  for (int waited = 0; waited < 600'000 && ::stat(file.c_str(), &info) == 0; waited++)
    ::nanosleep(&step, nullptr);
}

bool Matches(const Rule& rule, std::string_view point, unsigned hit) {
  return rule.point == point && (rule.nth == 0 || rule.nth == hit);
}

}  // namespace

void Set(const std::string& specification) {
  State& state = TheState();
  const std::lock_guard<std::mutex> guard(state.mutex);
  state.rules = ParseRules(specification);
  state.hits.clear();
}

std::vector<std::string> Points() {
  return {std::begin(kPoints), std::end(kPoints)};
}

std::vector<unsigned> Hits() {
  State& state = TheState();
  const std::lock_guard<std::mutex> guard(state.mutex);
  std::vector<unsigned> hits;
  for (const char* point : kPoints) {
    const auto known = state.hits.find(point);
    hits.push_back(known == state.hits.end() ? 0 : known->second);
  }
  return hits;
}

bool Enter(const char* point) {
  LoadEnvironmentOnce();
  if (!Listed(point)) {
    std::fprintf(stderr, "fault point %s is not listed in fault_point.cc\n", point);
    std::abort();
  }
  std::string pause;
  int delay = 0;
  int error = 0;
  {
    State& state = TheState();
    const std::lock_guard<std::mutex> guard(state.mutex);
    const unsigned hit = ++state.hits[point];
    for (const Rule& rule : state.rules) {
      if (!Matches(rule, point, hit)) continue;
      if (rule.action == "kill") ::kill(::getpid(), SIGKILL);
      if (rule.action == "delay") delay = std::atoi(rule.argument.c_str());
      if (rule.action == "pause") pause = rule.argument;
      if (rule.action == "errno") error = std::atoi(rule.argument.c_str());
    }
  }
  if (delay > 0) Delay(delay);
  if (!pause.empty()) PauseUntilRemoved(pause);
  if (error != 0) errno = error;
  return error != 0;
}

bool HasAnswer(const char* point, long long* answer) {
  State& state = TheState();
  const std::lock_guard<std::mutex> guard(state.mutex);
  for (const Rule& rule : state.rules) {
    if (!Matches(rule, point, state.hits[point]) || rule.action != "answer") continue;
    *answer = std::strtoll(rule.argument.c_str(), nullptr, 0);
    return true;
  }
  return false;
}

bool Leave(const char* point) {
  const int saved = errno;
  std::string pause;
  int error = 0;
  {
    State& state = TheState();
    const std::lock_guard<std::mutex> guard(state.mutex);
    const unsigned hit = state.hits[point];
    for (const Rule& rule : state.rules) {
      if (!Matches(rule, point, hit)) continue;
      if (rule.action == "kill-after") ::kill(::getpid(), SIGKILL);
      if (rule.action == "pause-after") pause = rule.argument;
      if (rule.action == "errno-after") error = std::atoi(rule.argument.c_str());
    }
  }
  if (!pause.empty()) PauseUntilRemoved(pause);
  errno = error == 0 ? saved : error;
  return error != 0;
}

}  // namespace fsq::fault

#endif
