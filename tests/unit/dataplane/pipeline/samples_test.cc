// SPDX-License-Identifier: Apache-2.0
//
// The times of sampled flows. A tick is 10 ms, and the packets of an iteration have one time.
#include "dataplane/pipeline/samples.h"

#include "control/metrics/signals.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr uint64_t kTickUs = 10'000;

class SamplesTest : public WorkerTest {
 protected:
  Outcomes outcomes(uint16_t backend) const {
    Outcomes sum;
    sum.add(segment().worker(0).signals[backend][0]);
    return sum;
  }
  Times handshakes(uint16_t service) const { return times(segment().worker(0).times[service][0].handshake); }
  Times answers(uint16_t service) const { return times(segment().worker(0).times[service][0].first_answer); }
  static Times times(const TimeHistogram& histogram) {
    Times sum;
    sum.add(histogram);
    return sum;
  }
  // Exactly one time, of so many ticks.
  static testing::AssertionResult is_one_of(const Times& times, uint32_t ticks) {
    if (times.count() != 1) return testing::AssertionFailure() << times.count() << " times";
    if (times.sum_us != ticks * kTickUs) return testing::AssertionFailure() << times.sum_us << " us";
    if (times.buckets[TimeHistogram::bucket_of(ticks * kTickUs)] != 1)
      return testing::AssertionFailure() << "another bucket";
    return testing::AssertionSuccess();
  }
  void wait(uint32_t ticks) {
    for (; ticks > 0; --ticks) {
      let_pass(1);
      settle();
    }
  }
  bool is_sampled(const Client& who) const { return flow_of(who)->state.sampled != 0; }
  // Opens a flow whose handshake takes 3 ticks, and sends its first data.
  uint16_t ask(const Client& who) {
    const uint16_t backend = send_from_client(who, kSyn);
    wait(3);
    pass(kBack, from_backend(who, backend, kSynAck));
    send_from_client(who, kAck);
    wait(2);
    pass(kFront, from_client(who, kAck, "GET /"));
    return backend;
  }
};

using Sampled = SamplesTest;

TEST_F(Sampled, HandshakeAndFirstAnswerAreMeasuredAndThenTheFlowIsSteady) {
  start();
  for (const uint16_t service : {kWeb, kWeb6}) {
    const Client who = client(service);
    const uint16_t backend = ask(who);
    EXPECT_TRUE(is_one_of(handshakes(service), 3));
    EXPECT_TRUE(is_sampled(who));
    EXPECT_FALSE(is_steady(flow_of(who)->state));
    wait(4);
    pass(kFront, from_client(who, kAck, " HTTP/1.1"));
    pass(kBack, from_backend(who, backend, kAck));
    EXPECT_EQ(answers(service).count(), 0u) << "a bare ACK is no answer";
    wait(3);
    pass(kBack, from_backend(who, backend, kAck, "200 OK"));
    EXPECT_TRUE(is_one_of(answers(service), 7)) << "from the first data on";
    EXPECT_TRUE(is_steady(flow_of(who)->state));
    pass(kFront, from_client(who, kAck, "GET /"));
    pass(kBack, from_backend(who, backend, kAck, "200 OK"));
    EXPECT_EQ(answers(service).count(), 1u) << "the first request alone";
    EXPECT_EQ(outcomes(backend).prompt_answers, 1u);
    EXPECT_EQ(outcomes(backend).slow_answers, 0u);
  }
}

TEST_F(Sampled, AServerThatAcceptsAndHangsIsSlowOneSecondAfterTheFirstData) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = ask(who);
  wait(kTicksPerSecond - 1);
  EXPECT_EQ(outcomes(backend).slow_answers, 0u);
  wait(1 + 8);
  EXPECT_EQ(outcomes(backend).slow_answers, 1u);
  EXPECT_EQ(answers(kWeb).count(), 0u);
  wait(kTicksPerSecond);
  pass(kBack, from_backend(who, backend, kAck, "200 OK"));
  EXPECT_TRUE(is_one_of(answers(kWeb), 2 * kTicksPerSecond + 8));
  EXPECT_EQ(outcomes(backend).slow_answers, 1u) << "once";
  EXPECT_EQ(outcomes(backend).prompt_answers, 0u);
}

TEST_F(Sampled, AnAnswerThatNeverComesIsInTheLastBucket) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = ask(who);
  wait(1'690);
  EXPECT_EQ(answers(kWeb).count(), 1u);
  EXPECT_EQ(answers(kWeb).buckets[TimeHistogram::kBounds], 1u);
  EXPECT_EQ(outcomes(backend).slow_answers, 1u);
  EXPECT_FALSE(is_sampled(who));
}

TEST_F(Sampled, UdpIsMeasuredFromTheFirstPacketToTheFirstAnswer) {
  start();
  const Client answered = client(kEcho, 0), silent = client(kEcho, 1);
  const uint16_t backend = send_from_client(answered);
  send_from_client(silent);
  wait(5);
  pass(kBack, from_backend(answered, backend));
  EXPECT_TRUE(is_one_of(answers(kEcho), 5));
  EXPECT_FALSE(is_sampled(answered));
  wait(kTicksPerSecond + 8);
  EXPECT_FALSE(is_sampled(silent));
  EXPECT_EQ(answers(kEcho).count(), 1u);
  EXPECT_EQ(outcomes(backend).prompt_answers, 0u) << "udp_unanswered says it for UDP";
}

TEST_F(Sampled, ASampleEndsWithoutATimeWhereThereIsNothingToMeasure) {
  start();
  const Client idle = client(kWeb, 0), refused = client(kWeb, 1), reset = client(kWeb, 2),
               closed = client(kWeb, 3);
  open_flow(idle);
  EXPECT_TRUE(is_sampled(idle));
  const uint16_t of_refused = send_from_client(refused, kSyn);
  pass(kBack, from_backend(refused, of_refused, kRstAck));
  EXPECT_FALSE(is_sampled(refused));
  ask(reset);
  pass(kFront, from_client(reset, kRst));
  EXPECT_FALSE(is_sampled(reset));
  const uint16_t of_closed = ask(closed);
  pass(kBack, from_backend(closed, of_closed, kFin));
  EXPECT_FALSE(is_sampled(closed));
  wait(kTicksPerSecond + 8);
  EXPECT_FALSE(is_sampled(idle)) << "no data within 1 s";
  EXPECT_EQ(answers(kWeb).count(), 0u);
  for (const uint16_t backend : {0, 1}) EXPECT_EQ(outcomes(backend).slow_answers, 0u);
}

TEST_F(Sampled, TenFlowsATickAreSampled) {
  start();
  const auto sampled = [&](uint32_t from, uint32_t count) {
    uint32_t found = 0;
    for (uint32_t i = from; i < from + count; ++i) {
      send_from_client(client(kWeb, i), kSyn);
      found += is_sampled(client(kWeb, i));
    }
    return found;
  };
  const uint32_t first = sampled(0, 40);
  EXPECT_LE(first, Samples::kPerTick);
  EXPECT_GE(first, Samples::kPerTick - 2) << "two flows may have one row";
  let_pass(1);
  EXPECT_GE(sampled(40, 40), Samples::kPerTick - 2);
}

TEST_F(Sampled, AFlowThatIsNotSampledAnyMoreAfterARestartBecomesSteadyAtItsNextPacket) {
  start();
  const Client who = client(kWeb);
  const uint16_t backend = open_flow(who);
  ASSERT_TRUE(is_sampled(who));
  restart(1);
  EXPECT_TRUE(is_sampled(who));
  EXPECT_EQ(send_from_client(who, kAck), backend);
  EXPECT_FALSE(is_sampled(who));
  pass(kBack, from_backend(who, backend));
  EXPECT_TRUE(is_steady(flow_of(who)->state));
  wait(kTicksPerSecond + 8);
  EXPECT_EQ(answers(kWeb).count(), 0u);
}

// The entry of a flow that ended is given to another one at once.
TEST_F(Sampled, ASampleOfAFlowThatEndedIsNotThatOfTheNextFlowInItsPlace) {
  start({.flow_capacity = 24, .partitions = 1});
  const Client who = client(kWeb6);
  ask(who);
  wait(50);
  pass(kFront, from_client(who, kFin));
  pass(kBack, from_backend(who, 4, kFin));  // ends the sample: the answer never came
  for (uint32_t i = 0; i < Samples::kPerTick; ++i)
    send_from_client(client(kWeb, i), kSyn);  // the tick's samples
  ASSERT_EQ(send_from_client(who, kSyn), 4) << "a new flow in the same slot";
  EXPECT_FALSE(is_sampled(who));
  wait(kTicksPerSecond + 8);
  EXPECT_EQ(outcomes(4).slow_answers, 0u);
}

TEST(TimeHistogram, BucketsAreBoundedByPowersOfTwo) {
  EXPECT_EQ(TimeHistogram::bucket_of(0), 0u);
  EXPECT_EQ(TimeHistogram::bucket_of(1), 0u);
  EXPECT_EQ(TimeHistogram::bucket_of(2), 1u);
  EXPECT_EQ(TimeHistogram::bucket_of(3), 2u);
  EXPECT_EQ(TimeHistogram::bucket_of(1 << 20), 20u);
  EXPECT_EQ(TimeHistogram::bucket_of((1 << 20) + 1), 21u);
  EXPECT_EQ(TimeHistogram::bucket_of(1 << 24), 24u);
  EXPECT_EQ(TimeHistogram::bucket_of((1 << 24) + 1), TimeHistogram::kBounds);
  EXPECT_EQ(TimeHistogram::bucket_of(UINT64_MAX), TimeHistogram::kBounds);
}

}  // namespace
}  // namespace teal::test
