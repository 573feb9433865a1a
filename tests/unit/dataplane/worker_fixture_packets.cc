// SPDX-License-Identifier: Apache-2.0
//
// Packets of the worker fixture: how a test makes, injects and collects them.
#include <rte_mbuf.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/unit/dataplane/ring_ports.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

Socket end_of(const Frame& frame, bool source) {
  const ParsedPacket packet = parse(frame.data(), static_cast<uint32_t>(frame.size()));
  if (source) return {packet.source, packet.source_port, packet.protocol};
  return {packet.destination, packet.destination_port, packet.protocol};
}

MacAddress mac_at(const Frame& frame, size_t offset) {
  MacAddress mac;
  if (frame.size() >= offset + 6) std::copy_n(frame.data() + offset, 6, mac.bytes);
  return mac;
}

// A packet that was only forwarded has a smaller TTL.
bool is_probe(const Sent& sent, uint16_t port) {
  return sent.port == port && sent.ttl() == 64 &&
         parse(sent.frame.data(), static_cast<uint32_t>(sent.frame.size())).tcp_flags == kTcpAck;
}

}  // namespace

std::string Sent::from() const {
  return port == kNowhere ? "nowhere" : to_string(end_of(frame, true));
}
std::string Sent::to() const {
  return port == kNowhere ? "nowhere" : to_string(end_of(frame, false));
}
uint8_t Sent::ttl() const {
  return port == kNowhere ? 0 : frame[14] >> 4 == 4 ? frame[14 + 8] : frame[14 + 7];
}
MacAddress Sent::destination_mac() const {
  return mac_at(frame, 0);
}
MacAddress Sent::source_mac() const {
  return mac_at(frame, 6);
}

Frame WorkerTest::from_client(const Client& who, uint8_t tcp_flags, std::string_view payload) const {
  const Socket& to = address_of(who);
  PacketBuilder builder;
  builder.ip(who.address, to.address);
  to.protocol == kProtocolTcp ? builder.tcp(who.port, to.port.host(), tcp_flags)
                              : builder.udp(who.port, to.port.host());
  return builder.payload(payload).build();
}

Frame WorkerTest::from_backend(const Client& who, uint16_t backend, uint8_t tcp_flags,
                               std::string_view payload) const {
  const Socket& from = backend_socket(backend);
  PacketBuilder builder;
  builder.eth(kBackMac, backend_mac(backend)).ip(from.address, who.address);
  from.protocol == kProtocolTcp ? builder.tcp(from.port.host(), who.port, tcp_flags)
                                : builder.udp(from.port.host(), who.port);
  return builder.payload(payload).build();
}

Frame WorkerTest::arriving_at(Wire wire, Frame frame) {
  const bool to_a_port = std::find(kPortMacs.begin(), kPortMacs.end(), mac_at(frame, 0)) != kPortMacs.end();
  if (wire < kWires && to_a_port) std::copy_n(kPortMacs[wire].bytes, 6, frame.begin());
  return frame;
}

rte_mbuf* WorkerTest::make_mbuf(Wire wire, const Frame& written) const {
  const Frame frame = arriving_at(wire, written);
  rte_mbuf* mbuf = rte_pktmbuf_alloc(RingPorts::get().pool());
  if (mbuf == nullptr) {
    ADD_FAILURE() << "the pool is empty";
    std::abort();
  }
  std::copy(frame.begin(), frame.end(), rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())));
  mbuf->port = RingPorts::get().ethdev(wire);
  return mbuf;
}

void WorkerTest::enqueue(Wire wire, uint16_t queue, rte_mbuf* mbuf) {
  ASSERT_TRUE(RingPorts::get().put(wire, queue, mbuf)) << "the ring is full: settle() more often";
  ++injected_;
}

void WorkerTest::inject(Wire wire, const Frame& frame, uint16_t queue) {
  enqueue(wire, queue, make_mbuf(wire, frame));
}

std::vector<Sent> WorkerTest::collect() {
  std::vector<Sent> sent;
  for (uint16_t wire = 0; wire < kWires; ++wire) {
    const std::vector<Sent> by_wire = collect_from(wire);
    sent.insert(sent.end(), by_wire.begin(), by_wire.end());
  }
  return sent;
}

std::vector<Sent> WorkerTest::collect_from(uint16_t ring) {
  std::vector<Sent> sent;
  while (rte_mbuf* mbuf = RingPorts::get().take(ring)) {
    const auto* bytes = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    sent.push_back({ring, Frame(bytes, bytes + rte_pktmbuf_data_len(mbuf))});
    rte_pktmbuf_free(mbuf);
  }
  return sent;
}

Sent WorkerTest::pass(Wire wire, const Frame& frame, uint16_t queue) {
  inject(wire, frame, queue);
  settle();
  std::vector<Sent> sent;
  for (Sent& one : collect()) (is_probe(one, kBack) ? asks_ : sent).push_back(std::move(one));
  EXPECT_LE(sent.size(), 1u);
  return sent.empty() ? Sent{} : sent.front();
}

Frame WorkerTest::answer_to(const Sent& ask, bool alive) {
  const ParsedPacket probe = parse(ask.frame.data(), static_cast<uint32_t>(ask.frame.size()));
  Be32 acknowledgement;
  std::memcpy(&acknowledgement.raw, ask.frame.data() + probe.l4_offset + 8, sizeof(acknowledgement.raw));
  PacketBuilder answer;
  answer.eth(ask.source_mac(), ask.destination_mac()).ip(probe.destination, probe.source);
  answer.tcp(probe.destination_port.host(), probe.source_port.host(), alive ? kAck : kRst);
  return answer.seq(alive ? 88 : acknowledgement.host()).build();
}

testing::AssertionResult WorkerTest::punts_unchanged(Wire wire, const Frame& frame) {
  const uint64_t before = punts();
  rte_mbuf* mbuf = make_mbuf(wire, frame);
  rte_mbuf_refcnt_update(mbuf, 1);
  enqueue(wire, 0, mbuf);
  settle();
  const auto* bytes = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const bool unchanged = Frame(bytes, bytes + rte_pktmbuf_data_len(mbuf)) == arriving_at(wire, frame);
  rte_pktmbuf_free(mbuf);
  if (!collect().empty()) return testing::AssertionFailure() << "it left by a port";
  if (punts() != before + 1) return testing::AssertionFailure() << "it was not punted";
  if (!unchanged) return testing::AssertionFailure() << "it was changed";
  return testing::AssertionSuccess();
}

testing::AssertionResult WorkerTest::drops(DropReason reason, Wire wire, const Frame& frame) {
  const uint64_t before = count(reason);
  if (pass(wire, frame).port != kNowhere) return testing::AssertionFailure() << "it left by a port";
  if (count(reason) != before + 1)
    return testing::AssertionFailure()
           << "it does not count as " << kDropReasonNames[static_cast<int>(reason)];
  return testing::AssertionSuccess();
}

uint16_t WorkerTest::backend_of(const Sent& sent) const {
  if (sent.port == kNowhere) return kNoId;
  const Socket to = end_of(sent.frame, false);
  for (const NumberedBackend& backend : ruleset_input.backends) {
    if (backend.socket == to) return backend.id;
  }
  return kNoId;
}

}  // namespace teal::test
