// SPDX-License-Identifier: Apache-2.0
//
// The stage that knows flows: it finds or begins the flow of each packet, moves it along its phases, and says
// which backend the packet goes to or speaks for, and by which hop it leaves. Packets of one flow may follow
// each other within a burst, so it goes packet by packet.
#pragma once

#include <span>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/last_hop.h"
#include "dataplane/pipeline/look_ahead.h"
#include "dataplane/pipeline/translate.h"
#include "dataplane/shm/flow_ledger.h"
#include "dataplane/shm/segment.h"

namespace teal {

class Tracker {
 public:
  Tracker(Segment& segment, WorkerBlock& block, uint32_t worker, uint32_t workers);

  // Decides on each undecided packet: its backend and hop, or a verdict; nearly all are translated as well
  // (express.h). How many are left undecided: for translate(). `ports` as for classify(), `macs` as for
  // translate().
  uint32_t track(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const PortMacs& macs,
                 const LookAhead& lookups, uint32_t now_tick);

  // A flow has ended: out of the table and the ledger.
  void end_flow(FlowIndex index, const FlowTable::Location& location);
  void end_flow(FlowIndex index, const Flow& flow, const Rules& rules);
  // A flow has changed: in both.
  void set_state(FlowIndex index, const FlowState& state);
  // The way to a flow's client; Hop::kNone: there is none.
  uint64_t hop_to_client(uint16_t last_hop, const IpAddress& client) const;

  FlowTable& table() { return table_; }
  // The worker's part of the table: [first_bucket, end_bucket).
  uint64_t first_bucket() const { return first_bucket_; }
  uint64_t end_bucket() const { return end_bucket_; }

 private:
  Verdict judge(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick);
  Verdict track_client_packet(Packet& packet, const Rules& rules, uint64_t hop_word, uint32_t now_tick);
  Verdict track_reply(Packet& packet, const Rules& rules, uint32_t now_tick);
  Verdict track_reset_flow(Packet& packet, bool from_backend, uint64_t hop_back, uint32_t now_tick);
  Verdict track_icmp_error(Packet& packet, const Rules& rules, uint32_t now_tick);
  Verdict begin_flow(Packet& packet, const Rules& rules, uint64_t hop_word, uint32_t now_tick);
  Verdict forward_reply_without_flow(Packet& packet, const Rules& rules, uint32_t now_tick);
  void advance(FlowIndex index, const FlowState& before, bool from_backend, const PacketShape& packet,
               uint16_t last_hop, const Rules& rules, uint32_t now_tick);
  void bring_sweep_forward(FlowIndex index, const FlowState& state, const Rules& rules);
  void end_flow_of(Packet& packet, Event why);
  bool is_cut(FlowIndex index, const FlowState& state, uint16_t service, const Rules& rules) const;
  uint64_t choice_of(const Packet& packet, const Rules& rules) const;
  Colour new_colour(const TrafficSplit& split, uint64_t choice, bool midstream, uint32_t now_tick) const;
  bool may_be_stateless(uint8_t protocol, const Rules& rules, uint32_t now_tick) const;
  bool speaks_for_stateless(const Packet& packet, const Rules& rules, uint32_t now_tick) const;
  uint16_t stateless_backend(const Packet& packet, const Rules& rules, uint32_t now_tick) const;
  void note_insert_failure(Event why, uint64_t hop_word, uint32_t now_tick);
  bool failed_insert_within(uint32_t ticks, uint32_t now_tick) const;
  bool client_is_on_link(const IpAddress& client, uint16_t backend, const Rules& rules) const;

  SegmentHeader& header_;
  WorkerBlock& block_;
  FlowTable table_;
  FlowLedger ledger_;
  LastHops last_hops_;
  uint64_t first_bucket_, end_bucket_;
  uint64_t embryonic_quota_;  // of the worker's slots, how many may hold flows without an answer
  uint64_t hop_of_latest_failure_ = Hop::kNone;
  FlowIndex emptied_ = kNoFlow;  // a slot that judge() has just emptied
};

}  // namespace teal
