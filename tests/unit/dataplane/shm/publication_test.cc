// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/publication.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/shm/segment.h"
#include "temporary_run_dir.h"

namespace teal {
namespace {

Segment::Options small(const std::string& run_dir) {
  return {.run_dir = run_dir,
          .flow_capacity = 1000,
          .hash_seed = 1,
          .partitions = 64,
          .try_huge_pages = false,
          .reserve = false};
}

class PublicationTest : public testing::Test {
 protected:
  // Publishes the next generation in free slots. Returns false if no slot is free.
  bool flip(bool with_ruleset = false) {
    PublicationWord word = writer_.current();
    ++word.generation;
    const auto split = writer_.free_split_slot();
    if (!split) return false;
    word.split_slot = *split;
    if (with_ruleset) {
      const auto ruleset = writer_.free_ruleset_slot();
      if (!ruleset) return false;
      word.ruleset_slot = *ruleset;
    }
    writer_.publish(word);
    return true;
  }

  TemporaryRunDir dir_;
  Segment segment_ = std::move(Segment::open_or_create(small(dir_.path()))->segment);
  PublicationWriter writer_{segment_};
};

TEST(PublicationWord, PacksAndUnpacks) {
  const PublicationWord word{.generation = (uint64_t{1} << 56) - 1, .ruleset_slot = 2, .split_slot = 61};
  const PublicationWord back = PublicationWord::unpack(word.pack());
  EXPECT_EQ(back.generation, word.generation);
  EXPECT_EQ(back.ruleset_slot, word.ruleset_slot);
  EXPECT_EQ(back.split_slot, word.split_slot);
  EXPECT_EQ(PublicationWord{}.pack(), PublicationWord::kNothingPublished);
}

TEST_F(PublicationTest, SlotIsFreeOnlyAfterAGracePeriod) {
  PublicationReader reader(segment_, 0);
  ASSERT_TRUE(flip(true));
  reader.quiescent();  // nothing of a new segment's own word, slots 0, is used any more
  const uint8_t first = writer_.current().split_slot;
  reader.load();  // begins a burst with the first word
  ASSERT_TRUE(flip(true));
  EXPECT_FALSE(writer_.grace_period_over());
  for (int i = 0; i < 62; ++i) {
    const auto slot = writer_.free_split_slot();
    ASSERT_TRUE(slot);
    EXPECT_NE(*slot, first);
    ASSERT_TRUE(flip());
  }
  EXPECT_FALSE(writer_.free_split_slot());
  reader.quiescent();  // ends the burst
  EXPECT_TRUE(writer_.grace_period_over());
  EXPECT_TRUE(writer_.free_split_slot());
}

TEST_F(PublicationTest, SlotsOfANewSegmentHoldNoServiceAndAreNotWrittenWhileRead) {
  PublicationReader reader(segment_, 0);
  EXPECT_EQ(reader.load(), PublicationWord::kNothingPublished);
  EXPECT_EQ(segment_.ruleset(0).find_service(Socket{}), kNoId);
  EXPECT_EQ(segment_.ruleset(0).find_backend(Socket{}), kNoId);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(writer_.free_ruleset_slot(), 0);
    EXPECT_NE(writer_.free_split_slot(), 0);
    ASSERT_TRUE(flip(true));
  }
  reader.quiescent();
  EXPECT_EQ(writer_.free_ruleset_slot(), 0);
}

TEST_F(PublicationTest, StalledReaderBlocksRulesetsButAllowsSixtyThreeFlips) {
  PublicationReader reader(segment_, 0);
  ASSERT_TRUE(flip(true));
  reader.quiescent();  // nothing of a new segment's own word, slots 0, is used any more
  reader.load();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(flip(true));
  EXPECT_FALSE(writer_.free_ruleset_slot());
  for (int i = 3; i < 63; ++i) ASSERT_TRUE(flip()) << i;
  EXPECT_FALSE(flip());
  EXPECT_EQ(writer_.adoption(true).adopted, 0u);
  EXPECT_EQ(writer_.adoption(true).live, 1u);
  reader.quiescent();
  EXPECT_TRUE(writer_.free_ruleset_slot());
  EXPECT_TRUE(flip());
}

TEST_F(PublicationTest, UnchangedRulesetKeepsItsSlotOverManyFlips) {
  ASSERT_TRUE(flip(true));
  const uint8_t ruleset = writer_.current().ruleset_slot;
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(flip());
    EXPECT_EQ(writer_.current().ruleset_slot, ruleset);
    EXPECT_NE(writer_.free_ruleset_slot(), ruleset);
  }
}

TEST_F(PublicationTest, AdoptionCountsWorkersThatLoadedTheWordOrSleep) {
  segment_.header().tsc_hz = measure_tsc_hz();
  PublicationReader a(segment_, 0), b(segment_, 1), c(segment_, 7);
  b.offline();
  ASSERT_TRUE(flip());
  Adoption adoption = writer_.adoption(true);
  EXPECT_EQ(adoption.live, 3u);
  EXPECT_EQ(adoption.adopted, 1u);
  EXPECT_EQ(adoption.asleep, 1u);
  EXPECT_EQ(adoption.slowest_us, 0);
  EXPECT_FALSE(adoption.complete());

  a.load();
  c.load();
  adoption = writer_.adoption(true);
  EXPECT_EQ(adoption.adopted, 3u);
  EXPECT_EQ(adoption.asleep, 1u);
  EXPECT_GT(adoption.slowest_us, 0);
  EXPECT_LT(adoption.slowest_us, 10e6);
  EXPECT_TRUE(adoption.complete());

  b.online();
  EXPECT_EQ(writer_.adoption(true).adopted, 2u);  // b is awake and has not loaded the word
  b.load();
  EXPECT_EQ(writer_.adoption(true).asleep, 0u);
  EXPECT_TRUE(writer_.adoption(true).complete());

  b.offline();  // b sleeps after it loaded the word, so it does not count as asleep without the word
  EXPECT_EQ(writer_.adoption(true).asleep, 0u);
  EXPECT_EQ(writer_.adoption(false).live, 0u);
  EXPECT_TRUE(writer_.adoption(false).complete());
}

TEST_F(PublicationTest, SleepingReaderHoldsNoSlot) {
  PublicationReader reader(segment_, 3);
  ASSERT_TRUE(flip(true));
  reader.load();
  reader.offline();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(flip(true));
  EXPECT_TRUE(writer_.grace_period_over());
  reader.online();
  EXPECT_EQ(PublicationWord::unpack(reader.load()).generation, writer_.current().generation);
}

TEST_F(PublicationTest, ReaderPublishesItsStateAndThreadId) {
  const WorkerStatus& status = segment_.worker(4).status;
  EXPECT_EQ(status.state, WorkerState::kAbsent);
  {
    PublicationReader reader(segment_, 4);
    EXPECT_EQ(status.state, WorkerState::kPolling);
    EXPECT_EQ(status.thread_id, static_cast<uint32_t>(gettid()));
    reader.offline();
    EXPECT_EQ(status.state, WorkerState::kAsleep);
    reader.online();
    EXPECT_EQ(status.state, WorkerState::kPolling);
    EXPECT_EQ(reader.load(), PublicationWord::kNothingPublished);
    EXPECT_NE(status.adopted_at_tsc, 0u);  // the first load always adopts
  }
  EXPECT_EQ(status.state, WorkerState::kAbsent);
  EXPECT_TRUE(writer_.grace_period_over());
}

TEST_F(PublicationTest, AdoptedWordOfAnEarlierReaderDoesNotCount) {
  ASSERT_TRUE(flip());
  { PublicationReader(segment_, 0).load(); }
  PublicationReader reader(segment_, 0);
  EXPECT_EQ(writer_.adoption(true).adopted, 0u);
  reader.load();
  EXPECT_TRUE(writer_.adoption(true).complete());
}

TEST_F(PublicationTest, DeadReaderBlocksUntilForgotten) {
  ASSERT_TRUE(flip(true));
  const pid_t child = fork();
  if (child == 0) {
    PublicationReader reader(segment_, 2);
    reader.load();
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(flip(true));
  EXPECT_FALSE(writer_.grace_period_over());
  EXPECT_FALSE(writer_.free_ruleset_slot());
  writer_.forget_dead_readers();
  EXPECT_TRUE(writer_.grace_period_over());
  EXPECT_TRUE(writer_.free_ruleset_slot());
  EXPECT_EQ(segment_.worker(2).status.state, WorkerState::kAbsent);
  EXPECT_TRUE(flip(true));

  PublicationReader again(segment_, 2);  // the reader of the next dataplane
  again.load();
  ASSERT_TRUE(flip(true));
  EXPECT_FALSE(writer_.grace_period_over());
  again.quiescent();
  EXPECT_TRUE(writer_.grace_period_over());
}

TEST_F(PublicationTest, EveryWorkerSlotCanHaveAReader) {
  std::vector<std::unique_ptr<PublicationReader>> readers;
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    readers.push_back(std::make_unique<PublicationReader>(segment_, i));
  ASSERT_TRUE(flip());
  for (auto& reader : readers) {
    EXPECT_FALSE(writer_.grace_period_over());
    reader->load();
    reader->quiescent();
  }
  EXPECT_TRUE(writer_.grace_period_over());
  EXPECT_EQ(writer_.adoption(true).adopted, kWorkerSlots);
}

TEST_F(PublicationTest, NextWriterWaitsForReadersOfEarlierWords) {
  PublicationReader reader(segment_, 0);
  ASSERT_TRUE(flip(true));
  reader.load();
  ASSERT_TRUE(flip(true));
  PublicationWriter next(segment_);
  EXPECT_EQ(next.current().generation, 2u);
  EXPECT_FALSE(next.free_ruleset_slot());
  EXPECT_FALSE(next.free_split_slot());
  reader.quiescent();
  ASSERT_TRUE(next.free_ruleset_slot());
  EXPECT_NE(*next.free_ruleset_slot(), next.current().ruleset_slot);
  ASSERT_TRUE(next.free_split_slot());
  EXPECT_NE(*next.free_split_slot(), next.current().split_slot);
  EXPECT_EQ(next.adoption(true).slowest_us, 0);  // `next` has not published yet
}

TEST_F(PublicationTest, AcknowledgedGenerationReachesTheHeader) {
  ASSERT_TRUE(flip());
  writer_.acknowledge(writer_.current().generation);
  EXPECT_EQ(segment_.header().acknowledged, 1u);
}

#ifndef NDEBUG
TEST_F(PublicationTest, GenerationOnlyGrows) {
  ASSERT_TRUE(flip());
  ASSERT_TRUE(flip());
  PublicationWord word = writer_.current();
  EXPECT_DEATH(writer_.publish(word), "generation");
  word.generation = 1;
  EXPECT_DEATH(writer_.publish(word), "generation");
}
#endif

// A writer publishes as fast as possible. Readers check that the slots that a word names hold the contents
// written for that word. ThreadSanitizer checks that every read of a slot is ordered before the next write
// to it.
TEST_F(PublicationTest, SlotContentsBelongToTheirGeneration) {
  constexpr uint64_t kWords = 100'000;
  constexpr uint32_t kReaders = 2;
  std::atomic<uint32_t> registered = 0;
  std::atomic<uint64_t> wrong = 0, backwards = 0, bursts = 0;
  const auto read = [&](uint32_t worker) {
    PublicationReader reader(segment_, worker);
    ++registered;
    uint64_t last = 0, done = 0;
    while (last < kWords) {
      const uint64_t loaded = reader.load();
      const PublicationWord word = PublicationWord::unpack(loaded);
      if (done % 32 == 7) sched_yield();  // during the burst: its slots must not change
      if (loaded != PublicationWord::kNothingPublished) {
        const auto low = static_cast<uint32_t>(word.generation);
        const TrafficSplits& splits = segment_.splits(word.split_slot);
        for (uint32_t service = 0; service < kMaxServices; service += 100)
          wrong += splits.services[service].flip_generation != low;
        const Ruleset& ruleset = segment_.ruleset(word.ruleset_slot);
        wrong += ruleset.timeouts.embryonic != ruleset.maglev_used;
        wrong += splits.services[0].flipped_at_tick != ruleset.maglev_used;
      }
      backwards += word.generation < last;
      last = word.generation;
      reader.quiescent();
      if (++done % 16 == 0) {
        reader.offline();
        sched_yield();
        reader.online();
      }
    }
    bursts += done;
  };
  std::vector<std::thread> readers;
  for (uint32_t worker = 0; worker < kReaders; ++worker) readers.emplace_back(read, worker);
  while (registered < kReaders) sched_yield();

  uint32_t ruleset_mark = 0;
  for (uint64_t generation = 1; generation <= kWords; ++generation) {
    PublicationWord word = writer_.current();
    word.generation = generation;
    if (const auto slot = writer_.free_ruleset_slot(); generation == 1 || (slot && generation % 3 == 0)) {
      Ruleset& ruleset = segment_.ruleset(*slot);
      ruleset.timeouts.embryonic = ruleset.maglev_used = ++ruleset_mark;
      word.ruleset_slot = *slot;
    }
    std::optional<uint8_t> slot;
    while (!(slot = writer_.free_split_slot())) sched_yield();
    TrafficSplits& splits = segment_.splits(*slot);
    for (uint32_t service = 0; service < kMaxServices; service += 100)
      splits.services[service].flip_generation = static_cast<uint32_t>(generation);
    splits.services[0].flipped_at_tick = ruleset_mark;
    word.split_slot = *slot;
    writer_.publish(word);
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(backwards, 0u);
  EXPECT_GT(bursts, 50u);  // few on a single core, as a sleeping reader does not hold up the writer
}

// A worker that counts as adopted never loads an older word afterwards.
TEST_F(PublicationTest, AdoptionIsNeverReportedTooEarly) {
  constexpr uint64_t kWords = 5'000;
  std::atomic<uint64_t> complete = 0;  // the latest generation whose adoption() was complete
  std::atomic<uint64_t> late = 0;
  std::atomic<bool> registered = false;
  std::thread worker([&] {
    PublicationReader reader(segment_, 0);
    registered = true;
    for (uint64_t burst = 0, generation = 0; generation < kWords; ++burst) {
      const uint64_t before = complete.load();  // sequentially consistent, before the load of the word
      generation = PublicationWord::unpack(reader.load()).generation;
      late += generation < before;
      reader.quiescent();
      if (burst % 3 == 0) {
        reader.offline();
        reader.online();
      }
      if (burst % 8 == 0) sched_yield();
    }
  });
  while (!registered) sched_yield();
  for (uint64_t i = 0; i < kWords; ++i) {
    while (!flip()) sched_yield();
    while (!writer_.adoption(true).complete()) sched_yield();
    complete = writer_.current().generation;
  }
  worker.join();
  EXPECT_EQ(late, 0u);
}

}  // namespace
}  // namespace teal
