// SPDX-License-Identifier: Apache-2.0
//
// Says when a flow gets another last hop, because its client's packets come by another one than before.
// Anybody can send a packet with a client's address, so such a packet proves nothing by itself. A flow that
// is not assured moves at once. Any other flow moves only to a known hop of a client-side port: the kernel
// has a neighbour with this MAC address there. Beyond that it needs a proof:
//
//   TCP  The backend has acknowledged exactly the last byte of a packet that came by the new hop. A stranger
//        would have to guess one of 2^32 numbers. A SYN or a RST shows nothing.
//   UDP  For kUdpTicks the client's packets come by the new hop only. UDP has no numbers, so a stranger who
//        sends so long in the name of a silent client, by a neighbour that the kernel knows, moves its flow.
//
// A packet that moves nothing still passes to the backend. A router that changes its MAC address moves no
// flow: teald changes the hop itself (dataplane/shm/last_hop.h).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// The flows of a worker whose hop may move.
class HopMoves {
 public:
  static constexpr uint32_t kTcpTicks = 100;  // the backend has so much time to acknowledge
  static constexpr uint32_t kUdpTicks = 300;
  static constexpr uint32_t kForgottenTicks = 6'000;  // UDP: after the client's latest packet by the new hop

  HopMoves(const SegmentHeader& header, LastHops& last_hops, WorkerBlock& block)
      : header_(header), last_hops_(last_hops), block_(block) {}

  // Call it for each packet of the client on `packet.flow`, which came by `hop_back`. `state` is the flow's
  // state after it.
  void client_sent(const Packet& packet, uint64_t hop_back, FlowState& state, uint32_t now_tick);

  // Call it for each packet of the flow's backend while hop_moves is set in `state`, the state after it.
  void backend_sent(const Packet& packet, FlowState& state, uint32_t now_tick);

 private:
  // A flow whose state has hop_moves. Another flow gets the place once the flow of before is over or late.
  struct Move {
    FlowIndex flow = kNoFlow;
    // TCP: the numbers behind the first and the latest packet by the new hop. A client may repeat the first
    // of several segments, and the backend acknowledge the last.
    std::array<uint32_t, 2> ends = {};
    bool has_data = false;  // the latest packet; a keepalive is empty, and one byte behind
    uint32_t began = 0;     // tick
    uint32_t latest = 0;    // tick of the client's latest packet by the new hop
    uint16_t hop = kNoLastHop;

    bool is_proven_by(uint32_t acknowledged) const {
      return acknowledged == ends[0] || acknowledged == ends[1] || (!has_data && acknowledged == ends[1] + 1);
    }
  };

  Move& place_of(FlowIndex flow) { return moves_[flow % moves_.size()]; }
  bool may_move_to(uint64_t hop_word, uint16_t hop) const;
  void move(FlowState& state, uint16_t hop);

  const SegmentHeader& header_;
  LastHops& last_hops_;
  WorkerBlock& block_;
  std::vector<Move> moves_ = std::vector<Move>(4096);
};

}  // namespace teal
