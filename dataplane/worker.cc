// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker.h"

#include <ctime>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/pipeline/classify.h"

namespace teal {

// A packet's way. Each stage takes the whole burst and skips the packets whose verdict an earlier stage has
// decided.
void Worker::forward(const Rules& rules, uint64_t now_tick) {
  const LookAhead lookups(burst_, flows_.table());

  // Parse each packet and name its flow, or punt or drop what belongs to no flow.
  classify(burst_, rules, traits_, lookups);
  timers_.done(Stage::k_classify);

  // Give each packet whose flow another worker owns to that worker.
  shared_.handover.give_to_owners(burst_, flows_.table(), index_);
  timers_.done(Stage::k_hand_over);

  // Find each packet's flow, and the backend and hop that follow from it. Fast path: the packet of a steady
  // flow is translated at once. Slow path: all others; such a packet may begin, change or end a flow.
  const uint32_t left = tracker_.track(burst_, rules, traits_, macs_, lookups, now_tick);
  timers_.done(Stage::k_track);

  // Rewrite the packets of the slow path for their hop.
  if (left != 0) translate(burst_, rules, macs_);
  timers_.done(Stage::k_translate);

  // Each packet is transmitted, punted or dropped, and counted.
  dispatch();
}

uint32_t Worker::iterate(const Time& now) {
  uint32_t packets = 0;
  now_tsc_ = now.tsc;
  timers_.begin(sweeper_.looks_at_all());
  if (shared_.macs.changes() != mac_changes_) [[unlikely]]
    copy_macs();
  // A transmission on veth runs the receiver's kernel, too, so an answer can come within the iteration.
  uint64_t first_burst_at = 0;
  const auto set_time_of_burst = [&] {
    const uint64_t tsc = rte_rdtsc();
    if (first_burst_at == 0) first_burst_at = tsc;
    signals_.samples().set_time(now.tsc + (tsc - first_burst_at));
  };
  for (const PortQueue queue : receive_queues_) {
    receive(queue);
    timers_.received(burst_.count);
    timers_.done(Stage::k_receive);
    if (burst_.count == 0) continue;
    packets += burst_.count;
    set_time_of_burst();
    forward(load_rules(), now.tick);
  }
  // At most one full ring: several workers may each give more than a burst, and go on giving meanwhile.
  for (uint32_t taken = 0; taken < Handover::kRingEntries; taken += Burst::kCapacity) {
    shared_.handover.take(burst_, index_);
    packets += burst_.count;
    if (burst_.count != 0) {
      set_time_of_burst();
      forward(load_rules(), now.tick);
    }
    if (burst_.count < Burst::kCapacity) break;
  }
  packets += relay() + ask(now);
  timers_.done(Stage::k_rest);
  packets += sweep(now);
  timers_.done(Stage::k_sweep);
  publication_.quiescent();
  timers_.done(Stage::k_rest);
  return packets;
}

// Loads the publication word, once for each burst: then a flip waits for one burst and not for the bursts of
// all queues. (A transmit kick alone takes tens of us on veth.) Before the first publication the word is 0
// and names slots without a service, so every packet is punted.
Rules Worker::load_rules() {
  const PublicationWord word = PublicationWord::unpack(publication_.load());
  const Rules rules{shared_.segment.ruleset(word.ruleset_slot), shared_.segment.splits(word.split_slot),
                    word.generation};
  if (adopted_generation_ != word.generation) [[unlikely]] {
    adopted_generation_ = word.generation;
    flows_.adopt(rules);
  }
  return rules;
}

// Takes over the ports' MAC addresses, which an operator may have changed. The number is loaded first: a
// change after that leads to another copy.
void Worker::copy_macs() {
  mac_changes_ = shared_.macs.changes();
  for (const Port& port : shared_.ports) {
    const MacAddress mac = shared_.macs.of(port.id);
    macs_.set(port.id, mac);
    for (const PortQueue queue : port.queues) traits_[queue.ethdev].set_mac(mac);
  }
}

// The end of an iteration is the beginning of the next one, so a busy worker reads the TSC once an iteration.
void Worker::run() {
  WorkerClock clock(shared_.segment.header().tsc_hz);
  uint64_t began = rte_rdtsc();
  while (!shared_.stop.load(std::memory_order_relaxed)) {
    const uint32_t packets = iterate(clock.at(began));
    uint64_t ended = rte_rdtsc();
    if (packets != 0) {
      block_.status.busy_tsc.add(ended - began);
      idle_.had_work();
    } else {
      if (const uint32_t microseconds = idle_.next_sleep_us(); microseconds != 0) sleep(microseconds);
      ended = rte_rdtsc();  // not part of the next iteration: it may be a busy one
    }
    block_.status.total_tsc.add(ended - began);
    began = ended;
  }
  timers_.tell(index_, shared_.segment.header().tsc_hz);
}

// A sleeping worker is offline: no flip waits for the worker, because it loads the new word before anything
// else.
void Worker::sleep(uint32_t microseconds) {
  publication_.offline();
  const timespec duration{0, static_cast<long>(microseconds) * 1000};
  nanosleep(&duration, nullptr);
  publication_.online();
}

void Worker::receive(PortQueue queue) {
  burst_.count = rte_eth_rx_burst(queue.ethdev, queue.queue, burst_.mbufs, Burst::kCapacity);
  block_.count(Event::k_rx, burst_.count);
}

// The one place where packets leave a worker.
void Worker::dispatch() {
  bool punts = false;
  for (const Packet& packet : burst_.all()) {
    if (packet.verdict.kind() == Verdict::Kind::kForward) [[likely]] {
      Transmit& out = transmits_[Hop::port_of(packet.hop)];
      out.mbufs[out.count++] = packet.mbuf;
      continue;
    }
    switch (packet.verdict.kind()) {
      case Verdict::Kind::kPunt:
        punts = true;
        break;
      case Verdict::Kind::kHandOver:
        block_.count(Event::k_handed_over);
        break;
      case Verdict::Kind::kForward:
      case Verdict::Kind::kUndecided:  // translate() leaves none
      case Verdict::Kind::kDrop:
        block_.count(packet.verdict.reason());
        rte_pktmbuf_free(packet.mbuf);
        break;
    }
  }
  timers_.done(Stage::k_dispatch);
  for (const uint16_t id : port_ids_) {
    if (transmits_[id].count != 0) transmit(transmits_[id]);
  }
  timers_.done(Stage::k_transmit);
  if (punts) punt_packets();
}

void Worker::transmit(Transmit& out) {
  uint32_t sent =
      rte_eth_tx_burst(out.queue.ethdev, out.queue.queue, out.mbufs.data(), static_cast<uint16_t>(out.count));
  // A second try: the first may have made room by freeing the mbufs that the NIC has sent.
  if (sent < out.count)
    sent += rte_eth_tx_burst(out.queue.ethdev, out.queue.queue, out.mbufs.data() + sent,
                             static_cast<uint16_t>(out.count - sent));
  block_.count(Event::k_tx, sent);
  if (sent < out.count) {
    block_.count(DropReason::k_tx_full, out.count - sent);
    rte_pktmbuf_free_bulk(out.mbufs.data() + sent, out.count - sent);
  }
  out.count = 0;
}

// Asks about flows of the bursts before: the probe follows the packet that was the reason.
uint32_t Worker::ask(const Time& now) {
  if (!asks_.are_waiting()) return 0;
  burst_.count = 0;
  asks_.send(load_rules(), now.tsc, static_cast<uint32_t>(now.tick));
  return send_probes();
}

// Ends and resets flows. A worker without packets adopts publications here.
uint32_t Worker::sweep(const Time& now) {
  burst_.count = 0;
  sweeper_.sweep(load_rules(), now.tsc, static_cast<uint32_t>(now.tick));
  return send_probes();
}

// Probes leave by dispatch(), as all packets do.
uint32_t Worker::send_probes() {
  if (burst_.count == 0) return 0;
  address(burst_, macs_);
  dispatch();
  return burst_.count;
}

uint32_t Worker::relay() {
  const Punt::Relayed relayed = shared_.punt.relay(index_);
  if (relayed.received == 0) return 0;
  block_.count(Event::k_relayed, relayed.sent);
  block_.count(Event::k_relay_full, relayed.received - relayed.sent);
  return relayed.received;
}

// Packets that came in by one port leave together.
void Worker::punt_packets() {
  std::array<rte_mbuf*, Burst::kCapacity> mbufs;
  uint32_t count = 0;
  uint16_t port = 0;
  for (Packet& packet : burst_.all()) {
    if (packet.verdict.kind() != Verdict::Kind::kPunt) continue;
    if (!punt_limits_.take(packet.verdict.punt_class(), now_tsc_)) {
      block_.count(DropReason::k_punt_limit);
      rte_pktmbuf_free(packet.mbuf);
      continue;
    }
    const uint16_t id = traits_[packet.mbuf->port].id;
    if (id != port) {
      send_punts(port, {mbufs.data(), count});
      count = 0;
      port = id;
    }
    mbufs[count++] = packet.mbuf;
  }
  send_punts(port, {mbufs.data(), count});
}

void Worker::send_punts(uint16_t port, std::span<rte_mbuf*> mbufs) {
  if (mbufs.empty()) return;
  const uint32_t taken = shared_.punt.send(port, macs_.of(Hop::word_of(port, 0)), index_, mbufs);
  block_.count(Event::k_punted, taken);
  block_.count(DropReason::k_punt_full, mbufs.size() - taken);
}

namespace {

// Worker q % workers polls queue q of a port.
std::vector<PortQueue> queues_of(std::span<const Port> ports, uint32_t worker, uint32_t workers) {
  std::vector<PortQueue> queues;
  for (const Port& port : ports) {
    for (size_t q = worker; q < port.queues.size(); q += workers) queues.push_back(port.queues[q]);
  }
  return queues;
}

}  // namespace

Worker::Worker(WorkerContext& shared, uint32_t index)
    : shared_(shared),
      index_(index),
      block_(shared.segment.worker(index)),
      publication_(shared.segment, index),
      flows_(shared.segment, block_, index, shared.handover.workers()),
      last_hops_(shared.segment.header(), shared.segment.flows()),
      signals_(shared.segment.header(), flows_, block_, shared.segment.header().tsc_hz),
      probes_(shared.pool, burst_),
      asks_(flows_, probes_, shared.segment.header(), block_, shared.handover.workers()),
      tracker_(shared.segment.header(), block_, flows_, last_hops_, signals_, asks_),
      resetter_(flows_, last_hops_, shared.segment.header(), block_, shared.handover.workers(), probes_),
      sweeper_(flows_, resetter_, asks_, signals_, probes_, shared.segment.header(), block_),
      punt_limits_(shared.segment.header().tsc_hz),
      idle_(shared.idle),
      traits_(traits_by_ethdev(shared.ports)),
      receive_queues_(queues_of(shared.ports, index, shared.handover.workers())) {
  for (const Port& port : shared.ports) {
    port_ids_.push_back(port.id);
    transmits_[port.id].queue = port.queues[index];
  }
  copy_macs();
}

}  // namespace teal
