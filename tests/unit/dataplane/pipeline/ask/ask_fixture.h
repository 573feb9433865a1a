// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "dataplane/pipeline/ask.h"
#include "tests/unit/dataplane/pipeline/reset/reset_fixture.h"

namespace teal::test {

class AskTest : public ResetTest {
 protected:
  // Opens a flow whose ends have talked.
  uint16_t open_and_talk(const Client& who) {
    const uint16_t backend = open_flow(who);
    EXPECT_TRUE(lives_on(who, backend));
    return backend;
  }
  // The same, and flips its service: a new flow would go to another backend.
  uint16_t open_and_flip(const Client& who) {
    const uint16_t backend = open_and_talk(who);
    flip({who.service}, Colour::kGreen);
    return backend;
  }
  // The one probe that has left since the last call.
  Sent probe() {
    std::vector<Sent> asks = take_asks();
    EXPECT_EQ(asks.size(), 1u);
    return asks.empty() ? Sent{} : asks.front();
  }
  Frame alive(const Client& who, uint16_t backend) const { return ack_of_backend(who, backend); }
  testing::AssertionResult is_consumed(const Frame& answer) {
    return drops(DropReason::k_ask_answer, kBack, answer);
  }
  testing::AssertionResult is_held(const Client& who) {
    return drops(DropReason::k_asked_syn, kFront, from_client(who, kSyn));
  }
  // Data passes in both directions, from and to this backend.
  testing::AssertionResult lives_on(const Client& who, uint16_t backend) {
    if (backend_of(pass(kFront, from_client(who, kAck, "question"))) != backend)
      return testing::AssertionFailure() << "the client's data went elsewhere";
    if (pass(kBack, from_backend(who, backend, kAck, "answer")).port != kFront)
      return testing::AssertionFailure() << "the backend's data did not reach the client";
    return testing::AssertionSuccess();
  }
  uint32_t live(uint16_t backend) { return segment().worker(0).flows[backend][0].live.load(); }
  uint32_t older(uint16_t backend) { return segment().worker(0).flows[backend][0].older.load(); }
  // The sweeps of so many times between two probes.
  void pass_probe_times(int times) {
    for (int i = 0; i < times; ++i) {
      let_pass(kProbeTicks);
      sweep();
    }
  }
};

}  // namespace teal::test
