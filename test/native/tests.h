// The tests, in the order in which main.cc runs them.
#pragma once

namespace fsq::test {

void FieldsAreFound();
void NamesAreInFifoOrder();
void LongListingsAreSorted();
void AWorkerAloneLeapsOverNothing();
void AWorkerAmongOthersLeapsOverNamesThatTheyHaveTaken();
void WorkersSeldomMeet();
void TheFrontIsLookedAtAgain();
void AReleasedNameIsTriedAgain();
void DueNamesComeInOrder();
void DueNamesAreNeitherLostNorMixedUp();
void TwoReadersOfOnePipeNeverWait();
void PlainNamesAreRead();
void TimesAreReadStrictly();
void TimesComeBackAsTheyWere();
void ItemsGoThroughTheQueue();
void ItemsAreBuiltInTmpWhereNothingElseWorks();
void AMoveOntoItselfTakesNoName();
void WorkersOnManyThreadsShareOneQueue();
void WorkersOnManyThreadsClaimByRenaming();
void WhatAClosedQueueHadClaimedIsTakenOver();

}  // namespace fsq::test
