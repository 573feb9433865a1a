// SPDX-License-Identifier: Apache-2.0
#include "dataplane/phase.h"

#include <gtest/gtest.h>

namespace teal::test {
namespace {

constexpr std::array kPhases = {FlowPhase::kEmbryonic,  FlowPhase::kEstablished, FlowPhase::kClientFin,
                                FlowPhase::kBackendFin, FlowPhase::kClosed,      FlowPhase::kReset};
constexpr std::array kEvents = {FlowEvent::kQuiet, FlowEvent::kData, FlowEvent::kSyn, FlowEvent::kFin,
                                FlowEvent::kRst};
constexpr bool kFromClient = false, kFromBackend = true;

TEST(Phase, RstOfEitherSideResetsEveryPhase) {
  for (const FlowPhase phase : kPhases) {
    EXPECT_EQ(next_phase(phase, kFromClient, FlowEvent::kRst), FlowPhase::kReset);
    EXPECT_EQ(next_phase(phase, kFromBackend, FlowEvent::kRst), FlowPhase::kReset);
  }
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

// A forged RST or FIN costs a live flow no more than a shorter patience.
TEST(Phase, DataRestoresAFlowThatAForgedRstOrFinShortened) {
  for (const FlowPhase phase : {FlowPhase::kReset, FlowPhase::kClosed}) {
    EXPECT_EQ(next_phase(phase, kFromClient, FlowEvent::kData), FlowPhase::kEstablished);
    EXPECT_EQ(next_phase(phase, kFromBackend, FlowEvent::kData), FlowPhase::kEstablished);
  }
  EXPECT_EQ(next_phase(FlowPhase::kClientFin, kFromClient, FlowEvent::kData), FlowPhase::kEstablished);
  EXPECT_EQ(next_phase(FlowPhase::kBackendFin, kFromBackend, FlowEvent::kData), FlowPhase::kEstablished);
}

TEST(Phase, SegmentsWithoutDataLeaveAClosingFlowClosing) {
  for (const FlowPhase phase : {FlowPhase::kClosed, FlowPhase::kReset}) {
    for (const FlowEvent event : {FlowEvent::kQuiet, FlowEvent::kSyn, FlowEvent::kFin}) {
      EXPECT_EQ(next_phase(phase, kFromClient, event), phase);
      EXPECT_EQ(next_phase(phase, kFromBackend, event), phase);
    }
  }
}

TEST(Phase, NothingLeadsBackToEmbryonic) {
  for (const FlowPhase phase : kPhases) {
    if (phase == FlowPhase::kEmbryonic) continue;
    for (const FlowEvent event : kEvents) {
      EXPECT_NE(next_phase(phase, kFromClient, event), FlowPhase::kEmbryonic);
      EXPECT_NE(next_phase(phase, kFromBackend, event), FlowPhase::kEmbryonic);
    }
  }
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
  EXPECT_EQ(tcp_event(ParsedPacket{}), FlowEvent::kQuiet);
}

TEST(Phase, EachPhaseHasItsTimeout) {
  const Timeouts timeouts{
      .embryonic = 1, .tcp_established = 2, .tcp_half_closed = 3, .tcp_closed = 4, .udp_established = 5};
  const auto ticks = [&](FlowPhase phase, uint8_t flags) {
    return timeout_ticks(timeouts, {.phase = phase, .flags = flags});
  };
  EXPECT_EQ(ticks(FlowPhase::kEmbryonic, 0), 1u);
  EXPECT_EQ(ticks(FlowPhase::kEmbryonic, kFlowUdp), 1u);
  EXPECT_EQ(ticks(FlowPhase::kEstablished, 0), 2u);
  EXPECT_EQ(ticks(FlowPhase::kEstablished, kFlowUdp), 5u);
  EXPECT_EQ(ticks(FlowPhase::kClientFin, 0), 3u);
  EXPECT_EQ(ticks(FlowPhase::kBackendFin, 0), 3u);
  EXPECT_EQ(ticks(FlowPhase::kClosed, 0), 4u);
  EXPECT_EQ(ticks(FlowPhase::kReset, 0), 4u);
}

}  // namespace
}  // namespace teal::test
