#include <cstdio>

#include "tests.h"

namespace {

struct Test {
  const char* name;
  void (*run)();
};

constexpr Test kTests[] = {
    {"fields are found", fsq::test::FieldsAreFound},
    {"names are in FIFO order", fsq::test::NamesAreInFifoOrder},
    {"long listings are sorted", fsq::test::LongListingsAreSorted},
    {"a worker alone leaps over nothing", fsq::test::AWorkerAloneLeapsOverNothing},
    {"a worker among others leaps over names that they have taken",
     fsq::test::AWorkerAmongOthersLeapsOverNamesThatTheyHaveTaken},
    {"workers seldom meet", fsq::test::WorkersSeldomMeet},
    {"the front is looked at again", fsq::test::TheFrontIsLookedAtAgain},
    {"a released name is tried again", fsq::test::AReleasedNameIsTriedAgain},
    {"due names come in order", fsq::test::DueNamesComeInOrder},
    {"due names are neither lost nor mixed up", fsq::test::DueNamesAreNeitherLostNorMixedUp},
    {"two readers of one pipe never wait", fsq::test::TwoReadersOfOnePipeNeverWait},
    {"plain names are read", fsq::test::PlainNamesAreRead},
    {"times are read strictly", fsq::test::TimesAreReadStrictly},
    {"times come back as they were", fsq::test::TimesComeBackAsTheyWere},
    {"items go through the queue", fsq::test::ItemsGoThroughTheQueue},
    {"items are built in tmp/ where nothing else works", fsq::test::ItemsAreBuiltInTmpWhereNothingElseWorks},
    {"a move onto itself takes no name", fsq::test::AMoveOntoItselfTakesNoName},
    {"workers on many threads share one queue", fsq::test::WorkersOnManyThreadsShareOneQueue},
    {"workers on many threads claim by renaming", fsq::test::WorkersOnManyThreadsClaimByRenaming},
    {"what a closed queue had claimed is taken over", fsq::test::WhatAClosedQueueHadClaimedIsTakenOver},
};

}  // namespace

int main() {
  for (const Test& test : kTests) {
    std::fprintf(stderr, "%s\n", test.name);
    test.run();
  }
}
