// SPDX-License-Identifier: Apache-2.0
//
// Fast path: nearly every packet. The flow is established and assured, the packet only refreshes the flow's
// idle timer, and its next hop is known. Such a packet is tracked and translated together, because
// translation needs the lines that tracking has just loaded. All other packets take the slow path
// (slow_path.h) and then translate(). The slow path treats fast-path packets the same way: fast_path_test.cc
// compares the two.
//
// Inline in the one loop that uses it: Tracker::track().
#pragma once

#include <span>

#include <rte_mbuf.h>

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/translate.h"

namespace teal {

// Made for one burst.
struct FastPath {
  const FlowTable table;  // a copy: the compiler knows that no store into a frame or the burst changes it
  const Ruleset& ruleset;
  const std::span<const PortTraits> ports;
  const PortMacs& macs;
  const std::atomic<uint64_t>* next_hops;  // by backend id
  const LastHops& last_hops;
  WorkerBlock& block;
  const uint32_t now_tick;

  // Takes an undecided packet with its candidate slot. Returns true and sets the verdict if the packet is
  // forwarded; otherwise changes nothing.
  [[gnu::always_inline]] bool take(Packet& packet) {
    const FlowIndex flow = packet.flow;
    if (flow == kNoFlow || !table.holds(flow, packet.key)) return false;
    const uint16_t id = table.backend(flow);
    const BackendRule& backend = ruleset.backends[id];
    const FlowState state = table.state(flow);
    const uint16_t service = packet.key.service;
    if (backend.service != service || !is_steady(state) ||
        (packet.shape.tcp_flags & (kTcpSyn | kTcpFin | kTcpRst)) != 0)
      return false;

    ServiceColourCounters& counters = block.services[service][static_cast<int>(state.colour())];
    uint64_t hop, mac;
    if (packet.role == Role::kToVip) [[likely]] {
      if (last_hops.word_of(state.last_hop) != arrival_hop(ports[packet.mbuf->port], packet.frame))
        return false;
      if (backend.flags & kBackendUdpCut) return false;
      hop = next_hops[id].load(std::memory_order_relaxed);
      mac = macs.of(hop);
      if (mac == 0) return false;
      // Only the backend's packets keep a UDP flow alive: next_state().
      if (packet.shape.protocol == kProtocolTcp) touch(flow, state);
      counters.count(Direction::kToBackend, packet.mbuf->pkt_len);
      forward_to_destination(packet.frame, packet.shape, backend.socket, backend.from_vip);
    } else {
      if (packet.role != Role::kFromBackend || id != packet.backend) return false;
      hop = last_hops.word_of(state.last_hop);
      mac = macs.of(hop);
      if (mac == 0) return false;
      touch(flow, state);
      counters.count(Direction::kToClient, packet.mbuf->pkt_len);
      forward_from_source(packet.frame, packet.shape, ruleset.services[service].vip,
                          backend.from_vip.reversed());
    }
    write_ethernet_addresses(packet.frame, hop & Hop::kMacMask, mac);
    packet.hop = hop;
    packet.verdict = Verdict::forward();
    return true;
  }

 private:
  void touch(FlowIndex flow, FlowState state) {
    if (state.tick == now_tick) return;  // leave the line clean
    state.tick = now_tick;
    FlowTable(table).set_state(flow, state);
  }
};

}  // namespace teal
