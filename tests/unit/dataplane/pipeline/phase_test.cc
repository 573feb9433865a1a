// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/phase.h"

#include <gtest/gtest.h>

#include <set>

namespace teal::test {
namespace {

constexpr std::array kPhases = {FlowPhase::kEmbryonic,  FlowPhase::kEstablished, FlowPhase::kClientFin,
                                FlowPhase::kBackendFin, FlowPhase::kClosed,      FlowPhase::kReset,
                                FlowPhase::kResetting,  FlowPhase::kAsked};
static_assert(kPhases.size() == kFlowPhases);
constexpr std::array kEvents = {FlowEvent::kBareAck, FlowEvent::kData, FlowEvent::kSyn, FlowEvent::kFin,
                                FlowEvent::kRst};
constexpr bool kFromClient = false, kFromBackend = true;

TEST(Phase, AnyPacketOfTheBackendIsAnAnswer) {
  for (const uint8_t protocol : {kProtocolTcp, kProtocolUdp}) {
    for (const uint8_t flags : {kTcpSyn, kTcpAck, kTcpFin, kTcpRst}) {
      const PacketShape packet{.protocol = protocol, .tcp_flags = flags};
      FlowState state{.flags = kFlowUnassured | kFlowUnanswered};
      state = next_state(state, kFromClient, packet, 1);
      EXPECT_NE(state.flags & kFlowUnanswered, 0);
      state = next_state(state, kFromBackend, packet, 1);
      EXPECT_FALSE(is_unanswered(state));
    }
  }
}

TEST(Phase, ASynAckShakesHandsAndNoMore) {
  constexpr PacketShape kSynAckPacket{.protocol = kProtocolTcp, .tcp_flags = kTcpSyn | kTcpAck};
  constexpr PacketShape kAckPacket{.protocol = kProtocolTcp, .tcp_flags = kTcpAck};
  FlowState state{.flags = kFlowUnassured | kFlowUnanswered};
  EXPECT_FALSE(has_only_shaken_hands(state)) << "the client has not answered";
  state = next_state(state, kFromBackend, kSynAckPacket, 1);
  state = next_state(state, kFromClient, kAckPacket, 1);
  state = next_state(state, kFromBackend, kSynAckPacket, 1);
  EXPECT_TRUE(has_only_shaken_hands(state));
  EXPECT_FALSE(has_only_shaken_hands(next_state(state, kFromBackend, kAckPacket, 1)));
}

TEST(Phase, RstOfTheBackendResetsEveryPhase) {
  for (const FlowPhase phase : kPhases)
    EXPECT_EQ(next_phase(phase, kFromBackend, FlowEvent::kRst), FlowPhase::kReset);
}

TEST(Phase, RstOfTheClientIsAskedAboutUnlessTheBackendMayHaveClosed) {
  for (const FlowPhase phase : kPhases) {
    const bool asked =
        phase == FlowPhase::kEstablished || phase == FlowPhase::kClientFin || phase == FlowPhase::kAsked;
    EXPECT_EQ(next_phase(phase, kFromClient, FlowEvent::kRst), asked ? FlowPhase::kAsked : FlowPhase::kReset);
  }
}

TEST(Phase, AskedFlowStaysSoUntilAFinOrTheBackendsRstOrSynAck) {
  for (const FlowEvent event : kEvents) {
    const bool fin = event == FlowEvent::kFin;
    EXPECT_EQ(next_phase(FlowPhase::kAsked, kFromClient, event),
              fin ? FlowPhase::kClientFin : FlowPhase::kAsked);
    if (event != FlowEvent::kRst && event != FlowEvent::kSyn) {
      EXPECT_EQ(next_phase(FlowPhase::kAsked, kFromBackend, event),
                fin ? FlowPhase::kBackendFin : FlowPhase::kAsked);
    }
  }
  EXPECT_FALSE(is_closing(FlowPhase::kAsked)) << "it counts as live";
}

constexpr PacketShape kRstPacket{.protocol = kProtocolTcp, .tcp_flags = kTcpRst};
constexpr PacketShape kAckPacket{.protocol = kProtocolTcp, .tcp_flags = kTcpAck};

TEST(Phase, NobodyIsAskedAboutAFlowThatIsNotAssured) {
  for (const FlowPhase phase : kPhases) {
    if (phase == FlowPhase::kAsked) continue;  // such a flow is assured
    const FlowState after =
        next_state(FlowState{.phase = phase, .flags = kFlowUnassured}, kFromClient, kRstPacket, 1);
    EXPECT_EQ(after.phase, FlowPhase::kReset);
    EXPECT_EQ(after.flags & kFlowClientReset, 0);
  }
}

TEST(Phase, TickOfAnAskedFlowIsThatOfItsLatestProbe) {
  const FlowState asked =
      next_state(FlowState{.tick = 3, .phase = FlowPhase::kEstablished, .probes = kSynPasses}, kFromClient,
                 kRstPacket, 7);
  EXPECT_EQ(asked, (FlowState{.tick = 7, .phase = FlowPhase::kAsked, .flags = kFlowClientReset}));
  for (const bool side : {kFromClient, kFromBackend})
    EXPECT_EQ(next_state(asked, side, kAckPacket, 9), asked);
}

TEST(Phase, AskedFlowRemembersTheClientsFin) {
  constexpr PacketShape kFinPacket{.protocol = kProtocolTcp, .tcp_flags = kTcpFin | kTcpAck};
  const FlowState asked = next_state(FlowState{.phase = FlowPhase::kClientFin}, kFromClient, kRstPacket, 7);
  ASSERT_EQ(asked.phase, FlowPhase::kAsked);
  EXPECT_EQ(next_state(asked, kFromBackend, kFinPacket, 9),
            (FlowState{.tick = 9, .phase = FlowPhase::kClosed}));
}

TEST(Phase, FlowThatIsNoLongerAskedHasNoMarkOfIt) {
  const FlowState asked{.tick = 3, .phase = FlowPhase::kAsked, .probes = 2, .flags = kFlowClientReset};
  EXPECT_EQ(next_state(asked, kFromBackend, kRstPacket, 9),
            (FlowState{.tick = 9, .phase = FlowPhase::kReset}));
}

TEST(Phase, OnlyTheBackendEndsTheEmbryonicPhaseShortOfARst) {
  for (const FlowEvent event : kEvents) {
    if (event == FlowEvent::kRst) continue;
    EXPECT_EQ(next_phase(FlowPhase::kEmbryonic, kFromClient, event), FlowPhase::kEmbryonic);
    EXPECT_NE(next_phase(FlowPhase::kEmbryonic, kFromBackend, event), FlowPhase::kEmbryonic);
  }
}

TEST(Phase, BothFinsInEitherOrderClose) {
  EXPECT_EQ(next_phase(next_phase(FlowPhase::kEstablished, kFromClient, FlowEvent::kFin), kFromBackend,
                       FlowEvent::kFin),
            FlowPhase::kClosed);
  EXPECT_EQ(next_phase(next_phase(FlowPhase::kEstablished, kFromBackend, FlowEvent::kFin), kFromClient,
                       FlowEvent::kFin),
            FlowPhase::kClosed);
}

TEST(Phase, ARetransmittedFinIsNotTheOtherSides) {
  EXPECT_EQ(next_phase(FlowPhase::kClientFin, kFromClient, FlowEvent::kFin), FlowPhase::kClientFin);
  EXPECT_EQ(next_phase(FlowPhase::kBackendFin, kFromBackend, FlowEvent::kFin), FlowPhase::kBackendFin);
}

TEST(Phase, TheOtherSideMaySendOnAHalfClosedFlow) {
  EXPECT_EQ(next_phase(FlowPhase::kClientFin, kFromBackend, FlowEvent::kData), FlowPhase::kClientFin);
  EXPECT_EQ(next_phase(FlowPhase::kBackendFin, kFromClient, FlowEvent::kData), FlowPhase::kBackendFin);
}

TEST(Phase, NothingButARstEndsAResetThatTealHasBegun) {
  for (const FlowEvent event : kEvents) {
    for (const bool side : {kFromClient, kFromBackend})
      EXPECT_EQ(next_phase(FlowPhase::kResetting, side, event),
                event == FlowEvent::kRst ? FlowPhase::kReset : FlowPhase::kResetting);
  }
  EXPECT_FALSE(is_closing(FlowPhase::kResetting)) << "it counts as live";
}

TEST(Phase, TealResetsFlowsThatAreResettingOrMarked) {
  for (const FlowPhase phase : kPhases) {
    EXPECT_EQ(is_reset_by_teal(FlowState{.phase = phase}), phase == FlowPhase::kResetting);
    for (const uint8_t mark : {kFlowClientReset, kFlowBackendReset})
      EXPECT_EQ(is_reset_by_teal(FlowState{.phase = phase, .flags = mark}),
                phase == FlowPhase::kResetting || phase == FlowPhase::kReset);
  }
}

// A forged RST or FIN costs a live flow no more than a shorter timeout.
TEST(Phase, DataRestoresAFlowThatARstOrAForgedFinShortened) {
  EXPECT_EQ(next_phase(FlowPhase::kReset, kFromBackend, FlowEvent::kData), FlowPhase::kEstablished);
  EXPECT_EQ(next_phase(FlowPhase::kClientFin, kFromClient, FlowEvent::kData), FlowPhase::kEstablished);
  EXPECT_EQ(next_phase(FlowPhase::kBackendFin, kFromBackend, FlowEvent::kData), FlowPhase::kEstablished);
}

TEST(Phase, DataOfTheClientAfterARstWaitsForTheBackendsAnswer) {
  const FlowPhase asked = next_phase(FlowPhase::kReset, kFromClient, FlowEvent::kData);
  EXPECT_EQ(asked, FlowPhase::kEmbryonic);
  EXPECT_EQ(next_phase(asked, kFromBackend, FlowEvent::kBareAck), FlowPhase::kEstablished);
}

TEST(Phase, AfterBothFinsDataTakesBackThatOfItsSenderAlone) {
  EXPECT_EQ(next_phase(FlowPhase::kClosed, kFromClient, FlowEvent::kData), FlowPhase::kBackendFin);
  EXPECT_EQ(next_phase(FlowPhase::kClosed, kFromBackend, FlowEvent::kData), FlowPhase::kClientFin);
}

TEST(Phase, SegmentsWithoutDataLeaveAClosingFlowClosing) {
  for (const FlowPhase phase : {FlowPhase::kClosed, FlowPhase::kReset}) {
    for (const FlowEvent event : {FlowEvent::kBareAck, FlowEvent::kSyn, FlowEvent::kFin}) {
      EXPECT_EQ(next_phase(phase, kFromClient, event), phase);
      EXPECT_EQ(next_phase(phase, kFromBackend, event), phase);
    }
  }
}

TEST(Phase, OnlyDataOfTheClientAfterARstLeadsBackToEmbryonic) {
  for (const FlowPhase phase : kPhases) {
    if (phase == FlowPhase::kEmbryonic) continue;
    for (const FlowEvent event : kEvents) {
      EXPECT_EQ(next_phase(phase, kFromClient, event) == FlowPhase::kEmbryonic,
                phase == FlowPhase::kReset && event == FlowEvent::kData);
      EXPECT_NE(next_phase(phase, kFromBackend, event), FlowPhase::kEmbryonic);
    }
  }
}

constexpr bool kTcp = false, kUdp = true;

TEST(Phase, TcpIsAssuredByTheClientsAnswerToTheBackendsAnswer) {
  for (const FlowPhase phase : kPhases) {
    const bool answered = phase != FlowPhase::kEmbryonic && phase != FlowPhase::kReset;
    for (const FlowEvent event : kEvents) {
      const bool answer = event != FlowEvent::kSyn && event != FlowEvent::kRst;
      EXPECT_EQ(assures(phase, kTcp, kFromClient, event), answered && answer);
      EXPECT_FALSE(assures(phase, kTcp, kFromBackend, event));
    }
  }
}

TEST(Phase, UdpIsAssuredByTheBackend) {
  for (const FlowPhase phase : {FlowPhase::kEmbryonic, FlowPhase::kEstablished}) {
    EXPECT_FALSE(assures(phase, kUdp, kFromClient, FlowEvent::kData));
    EXPECT_TRUE(assures(phase, kUdp, kFromBackend, FlowEvent::kData));
  }
}

// Without an answer of the backend, no packets of a client assure a flow, in any order, and the flow never
// gets a longer timeout than the embryonic one.
TEST(Phase, NoOrderOfTheClientsSegmentsAloneAssuresATcpFlow) {
  const Timeouts timeouts{.embryonic = 2, .tcp_established = 9, .tcp_half_closed = 9, .tcp_closed = 1};
  std::set<FlowPhase> reached, todo = {FlowPhase::kEmbryonic};
  while (!todo.empty()) {
    const FlowPhase phase = *todo.begin();
    todo.erase(todo.begin());
    reached.insert(phase);
    EXPECT_LE(timeout_ticks(timeouts, FlowState{.phase = phase, .flags = kFlowUnassured}),
              timeouts.embryonic);
    for (const FlowEvent event : kEvents) {
      EXPECT_FALSE(assures(phase, kTcp, kFromClient, event));
      if (const FlowPhase next = next_phase(phase, kFromClient, event); !reached.contains(next))
        todo.insert(next);
    }
  }
  EXPECT_EQ(reached, (std::set{FlowPhase::kEmbryonic, FlowPhase::kReset}));
}

TEST(Phase, TcpEventTakesRstBeforeFinBeforeSynBeforeData) {
  ParsedPacket packet;
  packet.payload_bytes = 1;
  EXPECT_EQ(tcp_event(packet), FlowEvent::kData);
  packet.tcp_flags = kTcpSyn | kTcpAck;
  EXPECT_EQ(tcp_event(packet), FlowEvent::kSyn);
  packet.tcp_flags |= kTcpFin;
  EXPECT_EQ(tcp_event(packet), FlowEvent::kFin);
  packet.tcp_flags |= kTcpRst;
  EXPECT_EQ(tcp_event(packet), FlowEvent::kRst);
  EXPECT_EQ(tcp_event(ParsedPacket{}), FlowEvent::kBareAck);
}

TEST(Phase, EachPhaseHasItsTimeout) {
  const Timeouts timeouts{
      .embryonic = 1, .tcp_established = 2, .tcp_half_closed = 3, .tcp_closed = 4, .udp_established = 5};
  const auto ticks = [&](FlowPhase phase, uint8_t flags) {
    return timeout_ticks(timeouts, FlowState{.phase = phase, .flags = flags});
  };
  EXPECT_EQ(ticks(FlowPhase::kEmbryonic, 0), 1u);
  EXPECT_EQ(ticks(FlowPhase::kEmbryonic, kFlowUdp), 1u);
  EXPECT_EQ(ticks(FlowPhase::kEstablished, 0), 2u);
  EXPECT_EQ(ticks(FlowPhase::kEstablished, kFlowUdp), 5u);
  EXPECT_EQ(ticks(FlowPhase::kClientFin, 0), 3u);
  EXPECT_EQ(ticks(FlowPhase::kBackendFin, 0), 3u);
  EXPECT_EQ(ticks(FlowPhase::kClosed, 0), 4u);
  EXPECT_EQ(ticks(FlowPhase::kReset, 0), 4u);
  EXPECT_EQ(ticks(FlowPhase::kAsked, 0), kProbeTicks) << "to the next probe";
  for (const FlowPhase phase : kPhases)
    EXPECT_EQ(ticks(phase, kFlowUnassured), is_closing(phase) ? 4u : 1u)
        << "phase " << static_cast<int>(phase);
}

}  // namespace
}  // namespace teal::test
