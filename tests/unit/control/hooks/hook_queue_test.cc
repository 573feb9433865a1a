// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hook_queue.h"

#include <gtest/gtest.h>

#include <map>

namespace teal {
namespace {

using namespace std::chrono_literals;
using enum HookOutcome;

class HookQueueTest : public testing::Test {
 protected:
  HookQueueTest() { queue.begin_after(40); }
  static HookJob job(const std::string& service) {
    return {.hook = Hook::kPostFlip, .run = {.command = {"/x"}}, .services = {service}, .input = service};
  }
  // The service whose run begins; "": none does.
  std::string begins() {
    const auto due = queue.next(now);
    if (!due) return "";
    keys[due->job.services.front()] = due->key;
    return due->job.services.front();
  }
  bool ends(const std::string& service, HookOutcome outcome) {
    return queue.ended(keys.at(service), outcome, now);
  }

  HookQueue queue;
  HookQueue::Time now = HookQueue::Time(1h);
  std::map<std::string, uint64_t> keys;
};

TEST_F(HookQueueTest, ChangesAreDeliveredInTheirOrder) {
  EXPECT_EQ(queue.delivered(), 40);
  queue.add(41, {job("a")});
  queue.add(43, {});
  queue.add(44, {job("b")});
  EXPECT_EQ(queue.last(), 44);
  EXPECT_EQ(begins(), "a");
  EXPECT_EQ(begins(), "b") << "another service does not wait";
  EXPECT_EQ(begins(), "");
  EXPECT_TRUE(ends("b", kPassed));
  EXPECT_EQ(queue.delivered(), 40) << "41 is not over";
  EXPECT_TRUE(ends("a", kPassed));
  EXPECT_EQ(queue.delivered(), 44);
  EXPECT_TRUE(queue.empty());
}

TEST_F(HookQueueTest, RunsOfOneServiceFollowEachOther) {
  queue.add(41, {job("a")});
  queue.add(42, {job("a")});
  EXPECT_EQ(begins(), "a");
  EXPECT_EQ(begins(), "");
  EXPECT_TRUE(ends("a", kPassed));
  EXPECT_EQ(queue.delivered(), 41);
  EXPECT_EQ(begins(), "a");
}

TEST_F(HookQueueTest, AFailedRunIsTriedThreeTimes) {
  queue.add(41, {job("a")});
  queue.add(42, {job("b")});
  EXPECT_EQ(begins(), "a");
  EXPECT_FALSE(ends("a", kFailed));
  EXPECT_EQ(begins(), "b") << "a pause holds up nobody";
  EXPECT_TRUE(ends("b", kPassed));
  EXPECT_EQ(begins(), "");
  now += 5s;
  EXPECT_EQ(begins(), "a");
  EXPECT_FALSE(ends("a", kFailed));
  now += 29s;
  EXPECT_EQ(begins(), "");
  now += 1s;
  EXPECT_EQ(begins(), "a");
  EXPECT_EQ(queue.delivered(), 40);
  EXPECT_TRUE(ends("a", kFailed)) << "it is given up";
  EXPECT_EQ(queue.delivered(), 42);
}

TEST_F(HookQueueTest, ARunThatIsLostFiveTimesIsGivenUp) {
  queue.add(41, {job("a")});
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(begins(), "a");
    EXPECT_FALSE(ends("a", kLost));
    EXPECT_EQ(begins(), "");
    now += 5s;
  }
  EXPECT_EQ(begins(), "a");
  EXPECT_TRUE(ends("a", kLost)) << "it may be the hook that ends teal-health";
}

TEST_F(HookQueueTest, ARunThatPausesHoldsUpTheLaterOnesOfItsServices) {
  queue.add(41, {job("a")});
  queue.add(42, {job("a"), job("b")});
  EXPECT_EQ(begins(), "a");
  EXPECT_FALSE(ends("a", kFailed));
  EXPECT_EQ(begins(), "b");
  EXPECT_EQ(begins(), "");
  now += 5s;
  EXPECT_EQ(begins(), "a");
  EXPECT_TRUE(ends("a", kPassed));
  EXPECT_EQ(begins(), "a");
}

TEST_F(HookQueueTest, AtMostFourRunAtOnce) {
  for (int i = 0; i < 10; ++i) queue.add(41 + i, {job(std::to_string(i))});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(begins(), std::to_string(i));
  EXPECT_EQ(begins(), "");
  EXPECT_TRUE(ends("2", kPassed));
  EXPECT_EQ(begins(), "4");
}

TEST_F(HookQueueTest, HasRoomForABoundedPartOfTheHistory) {
  queue.add(41, {job("a")});
  constexpr int kMost = HookQueue::kMaxChanges;
  for (int i = 1; i < kMost; ++i) queue.add(41 + i, {});
  EXPECT_FALSE(queue.has_room());
  EXPECT_EQ(begins(), "a");
  EXPECT_TRUE(ends("a", kPassed));
  EXPECT_TRUE(queue.has_room());
  EXPECT_EQ(queue.delivered(), 40 + kMost);
}

TEST_F(HookQueueTest, ANewBeginningForgetsRunsThatAreUnderWay) {
  queue.add(41, {job("a")});
  EXPECT_EQ(begins(), "a");
  const uint64_t old = keys["a"];
  queue.begin_after(50);
  queue.add(51, {job("a")});
  EXPECT_TRUE(queue.ended(old, kPassed, now));
  EXPECT_EQ(queue.delivered(), 50) << "the end of the old run is not the end of this one";
}

TEST_F(HookQueueTest, ARunWithoutAChangeDeliversNone) {
  queue.add(41, {job("a")});
  (void)queue.add(job("b"));
  EXPECT_EQ(begins(), "a");
  EXPECT_EQ(begins(), "b");
  EXPECT_TRUE(ends("b", kPassed));
  EXPECT_EQ(queue.delivered(), 40);
}

}  // namespace
}  // namespace teal
