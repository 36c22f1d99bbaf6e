#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "expect.h"
#include "names/time_text.h"
#include "queue/claim.h"
#include "queue/directory.h"
#include "queue/enqueue.h"
#include "queue/finish.h"
#include "queue/install.h"
#include "queue/listing.h"
#include "queue/skipped.h"
#include "queue/take_over.h"
#include "tests.h"

namespace fsq::test {
namespace {

const QueueDirectory::Layout kLayout{
    {"queue", "tmp", "done", "fail"}, "down", "lock-fcntl", "claims-rename", "claimed", "down-rename"};
constexpr size_t kReadLimit = 4096;

// A queue of the test's own, removed with it.
class TestQueue {
 public:
  explicit TestQueue(bool by_rename = false) {
    const char* const base = ::getenv("TMPDIR");
    root_ = std::string(base == nullptr ? "/tmp" : base) + "/fsq-native-XXXXXX";
    EXPECT(::mkdtemp(root_.data()) != nullptr);
    Installation installation{root_, ".fsq-aaaaaa", "q", {"queue", "tmp", "done", "fail"}};
    if (by_rename) installation.files.push_back({kLayout.rename_marker, ""});
    EXPECT(!Install(installation) && installation.published);
  }
  ~TestQueue() { std::filesystem::remove_all(root_); }
  TestQueue(const TestQueue&) = delete;
  TestQueue& operator=(const TestQueue&) = delete;

  std::shared_ptr<QueueDirectory> Open() const {
    Failure failure;
    auto directory = QueueDirectory::Open(root_ + "/q", kLayout, true, &failure);
    EXPECT(directory && !failure);
    return directory;
  }

  std::string PathOf(const std::string& part) const { return root_ + "/q/" + part; }

  std::vector<std::string> Names(const QueueDirectory& directory, Place place) const {
    Failure failure;
    const auto listing = Listing::Read(directory, place, {}, {}, &failure);
    EXPECT(listing);
    std::vector<std::string> names;
    for (size_t at = 0; at < listing->size(); at++) names.emplace_back(listing->at(at).view());
    return names;
  }

 private:
  std::string root_;
};

ItemForm FormOf(bool durable) {
  return {.names = {.time_format = "%Y%m%d%H%M%S"}, .durable = durable};
}

NewItem ItemOf(const char* argument, std::string_view bytes) {
  NewItem item;
  item.suffix = std::string("_1_host_0_") + argument;
  item.payload.kind = bytes.empty() ? Payload::Kind::kEmpty : Payload::Kind::kBytes;
  item.payload.bytes = bytes;
  return item;
}

std::vector<std::string> EnqueueThem(QueueDirectory& directory, const ItemForm& form,
                                     std::vector<NewItem> items) {
  EnqueueAll(directory, form, items, nullptr);
  std::vector<std::string> names;
  for (const NewItem& item : items) {
    EXPECT(item.linked && !item.failure);
    names.push_back(item.name);
  }
  return names;
}

ClaimBatch ClaimAll(const QueueDirectory& directory, Skipped* skipped = nullptr) {
  Failure failure;
  const auto listing = Listing::Read(directory, Place::kQueue, {}, {}, &failure);
  EXPECT(listing);
  ClaimBatch batch =
      ClaimNext(directory, *listing, listing->size() + 1, listing->size() + 1, kReadLimit, skipped, {});
  EXPECT(!batch.failure && batch.ended);
  return batch;
}

void FinishIt(const QueueDirectory& directory, Claim claim, Place place, const std::string& to,
              bool discard = false, std::shared_ptr<WorkerDirectory> holder = nullptr) {
  std::vector<Finish> finishes;
  finishes.push_back({std::move(claim.descriptor), claim.name, place, to});
  finishes.front().discard = discard;
  finishes.front().holder = std::move(holder);
  FinishAll(directory, finishes, true);
  EXPECT(finishes.front().moved && !finishes.front().failure);
}

}  // namespace

void ItemsGoThroughTheQueue() {
  const TestQueue queue;
  const auto directory = queue.Open();
  const std::string large(100'000, 'x');
  std::vector<NewItem> items;
  items.push_back(ItemOf("a", "one"));
  items.push_back(ItemOf("b", ""));
  items.push_back(ItemOf("c", large));
  items.push_back(ItemOf("d", "four"));
  items.push_back(ItemOf("delayed", "five"));
  items.back().due_ms = (int64_t{Now().seconds} + 3600) * 1000;
  for (int number = 0; number < 200; number++) items.push_back(ItemOf("many", "more"));
  const std::vector<std::string> names = EnqueueThem(*directory, FormOf(true), std::move(items));
  EXPECT(queue.Names(*directory, Place::kQueue) == names);
  EXPECT(queue.Names(*directory, Place::kTmp).empty());

  const std::atomic<bool> stop{true};
  Failure stopped;
  EXPECT(!Listing::Read(*directory, Place::kQueue, {}, {nullptr, &stop}, &stopped) &&
         stopped.error == -ECANCELED);

  Skipped skipped;
  ClaimBatch batch = ClaimAll(*directory, &skipped);
  EXPECT(batch.claims.size() == names.size() - 1 && batch.delayed == 1 && batch.busy == 0);
  const auto content = [&](const Claim& claim) {
    return claim.content_length < 0 ? std::string("not read")
                                    : batch.contents.substr(claim.content_offset, claim.content_length);
  };
  EXPECT(content(batch.claims[0]) == "one" && content(batch.claims[1]).empty());
  EXPECT(content(batch.claims[2]) == "not read" && batch.claims[2].size == 100'000);
  EXPECT(content(batch.claims[3]) == "four");

  // Held: another open file description, also of this process, cannot have them.
  Skipped others;
  EXPECT(ClaimAll(*directory, &others).busy == batch.claims.size());

  FinishIt(*directory, std::move(batch.claims[0]), Place::kDone, names[0]);
  FinishIt(*directory, std::move(batch.claims[1]), Place::kFail, names[1]);
  FinishIt(*directory, std::move(batch.claims[2]), Place::kTmp, names[2], true);
  FinishIt(*directory, std::move(batch.claims[3]), Place::kQueue, "_retried_1_1_host_1_d");
  EXPECT(queue.Names(*directory, Place::kDone) == std::vector{names[0]});
  EXPECT(queue.Names(*directory, Place::kFail) == std::vector{names[1]});
  EXPECT(queue.Names(*directory, Place::kTmp).empty());
  batch.claims.clear();
  EXPECT(ClaimAll(*directory).claims.size() == names.size() - 4);
}

void ItemsAreBuiltInTmpWhereNothingElseWorks() {
  const TestQueue queue;
  const auto directory = queue.Open();
  directory->set_link_way(platform::LinkWay::kTemporary);
  std::vector<NewItem> items;
  for (const char* const argument : {"a", "b", "c"}) items.push_back(ItemOf(argument, argument));
  items.push_back(ItemOf("missing", ""));
  items.back().payload = {Payload::Kind::kPath, {}, queue.PathOf("missing")};
  EnqueueAll(*directory, FormOf(true), items, nullptr);
  EXPECT(items[0].linked && items[1].linked && items[2].linked);
  EXPECT(!items[3].linked && items[3].failure.error == -ENOENT);
  EXPECT(queue.Names(*directory, Place::kTmp).empty());
  EXPECT(queue.Names(*directory, Place::kQueue).size() == 3);
}

// Nothing asks for it; but if something did, the item would be lost. A backup by hard link does not make it
// less so.
void AMoveOntoItselfTakesNoName() {
  const TestQueue queue;
  const auto directory = queue.Open();
  const std::vector<std::string> names =
      EnqueueThem(*directory, FormOf(true), {ItemOf("a", "one"), ItemOf("linked", "two")});
  std::filesystem::create_hard_link(queue.PathOf("queue/" + names[1]), queue.PathOf("backup"));
  std::vector<Finish> finishes;
  ClaimBatch batch = ClaimAll(*directory);
  for (Claim& claim : batch.claims)
    finishes.push_back({std::move(claim.descriptor), claim.name, Place::kQueue, claim.name});
  EXPECT(finishes.size() == names.size());
  FinishAll(*directory, finishes, false);
  for (const Finish& finish : finishes) EXPECT(!finish.moved && finish.failure.error == -EINVAL);
  EXPECT(queue.Names(*directory, Place::kQueue) == names);
}

// The sanitizer of threads looks at what they share: the counter of entropies, what is known of the file
// system, the descriptors that are kept.
static void ShareOneQueue(bool by_rename) {
  constexpr int kProducers = 2;
  constexpr int kWorkers = 4;
  constexpr int kItemsEach = 300;
  const TestQueue queue(by_rename);
  const auto shared = queue.Open();
  shared->set_lease_ms(10'000);
  std::mutex mutex;
  std::map<std::string, int> runs;
  std::vector<std::thread> threads;
  for (int producer = 0; producer < kProducers; producer++) {
    threads.emplace_back([&] {
      const ItemForm form = FormOf(false);
      for (int number = 0; number < kItemsEach; number++)
        EnqueueThem(*shared, form, {ItemOf("x", number % 2 == 0 ? "payload" : "")});
    });
  }
  const auto done = [&] {
    const std::lock_guard lock(mutex);
    return runs.size() == kProducers * kItemsEach;
  };
  for (int worker = 0; worker < kWorkers; worker++) {
    threads.emplace_back([&, worker] {
      const auto own = worker < 2 ? shared : queue.Open();
      Skipped skipped;
      while (!done()) {
        Failure failure;
        const auto listing = Listing::Read(*own, Place::kQueue, {}, {}, &failure);
        EXPECT(listing);
        for (bool ended = false; !ended;) {
          ClaimBatch batch =
              ClaimNext(*own, *listing, 8, listing->size(), kReadLimit, worker == 0 ? nullptr : &skipped, {});
          EXPECT(!batch.failure);
          ended = batch.ended;
          // Of a worker that has ended: it has finished all that it had.
          for (const Seized& dead : SeizeDead(*own, {}, &failure))
            EXPECT(dead.items.empty() && !dead.directory->Remove());
          EXPECT(!failure);
          for (Claim& claim : batch.claims) {
            {
              const std::lock_guard lock(mutex);
              runs[claim.name]++;
            }
            const std::string name = claim.name;
            FinishIt(*own, std::move(claim), Place::kDone, name, false, batch.holder);
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& [name, times] : runs) EXPECT(times == 1);
  EXPECT(queue.Names(*shared, Place::kDone).size() == kProducers * kItemsEach);
  EXPECT(queue.Names(*shared, Place::kQueue).empty() && queue.Names(*shared, Place::kTmp).empty());
}

void WorkersOnManyThreadsShareOneQueue() {
  ShareOneQueue(false);
}

void WorkersOnManyThreadsClaimByRenaming() {
  ShareOneQueue(true);
}

// Also when its fence is watched: the lock must not stay with the thread.
void WhatAClosedQueueHadClaimedIsTakenOver() {
  for (const int64_t lease_ms : {0, 50}) {
    const TestQueue queue(true);
    auto dead = queue.Open();
    dead->set_lease_ms(lease_ms);
    const std::vector<std::string> names = EnqueueThem(*dead, FormOf(false), {ItemOf("a", "one")});
    ClaimBatch batch = ClaimAll(*dead);
    EXPECT(batch.claims.size() == 1 && !batch.holder->IsLost());
    const auto heir = queue.Open();
    Failure failure;
    EXPECT(SeizeDead(*heir, {}, &failure).empty() && !failure);
    dead.reset();
    batch = {};
    std::vector<Seized> seized;
    while (seized.empty()) seized = SeizeDead(*heir, {}, &failure);
    EXPECT(!failure && seized.size() == 1 && seized[0].items.size() == 1 && seized[0].lines.size() == 512);
    Claim claim;
    claim.descriptor.Remember(seized[0].items[0].info);
    claim.name = seized[0].items[0].name;
    FinishIt(*heir, std::move(claim), Place::kQueue, names[0], false, seized[0].directory);
    EXPECT(!seized[0].directory->Remove());
    EXPECT(queue.Names(*heir, Place::kQueue) == names);
  }
}

}  // namespace fsq::test
