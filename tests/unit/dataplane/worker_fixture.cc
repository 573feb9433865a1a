// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/worker_fixture.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

#include <cstdlib>
#include <filesystem>

#include "dataplane/pipeline/choose.h"
#include "dataplane/resume.h"
#include "tests/unit/dataplane/ring_ports.h"

namespace teal::test {
namespace {

Socket socket_of(std::string_view text, uint8_t protocol) {
  auto socket = parse_socket(text);
  if (!socket) ADD_FAILURE() << text << " is no socket";
  socket->protocol = protocol;
  return *socket;
}

RulesetInput plan_of_all_tests() {
  RulesetInput plan;
  plan.timeouts = {.embryonic = 3'000,
                   .tcp_established = 700'000,
                   .tcp_half_closed = 30'000,
                   .tcp_closed = 1'000,
                   .udp_established = 6'000};
  plan.reset_rate = 1'000'000;
  const auto service = [&](uint16_t id, const char* name, const char* vip, uint8_t protocol) {
    plan.services.push_back({.id = id, .name = name, .vip = socket_of(vip, protocol)});
  };
  const auto backend = [&](uint16_t service, Colour colour, const char* socket) {
    NumberedBackend numbered{.id = static_cast<uint16_t>(plan.backends.size()), .service = service};
    numbered.socket = socket_of(socket, plan.services[service].vip.protocol);
    numbered.weights[static_cast<int>(colour)] = 1;
    plan.backends.push_back(numbered);
  };
  service(kWeb, "web", "198.18.0.10:80", kProtocolTcp);
  service(kWeb6, "web6", "[fd18::10]:80", kProtocolTcp);
  service(kEcho, "echo", "198.18.0.10:5300", kProtocolUdp);
  service(kEcho6, "echo6", "[fd18::10]:5300", kProtocolUdp);
  backend(kWeb, Colour::kBlue, "198.18.2.11:8080");
  backend(kWeb, Colour::kBlue, "198.18.2.12:8080");
  backend(kWeb, Colour::kGreen, "198.18.2.21:8080");
  backend(kWeb, Colour::kGreen, "198.18.2.22:8080");
  backend(kWeb6, Colour::kBlue, "[fd18:2::11]:8080");
  backend(kWeb6, Colour::kGreen, "[fd18:2::21]:8080");
  backend(kEcho, Colour::kBlue, "198.18.2.11:5300");
  backend(kEcho, Colour::kBlue, "198.18.2.12:5300");
  backend(kEcho, Colour::kGreen, "198.18.2.21:5300");
  backend(kEcho, Colour::kGreen, "198.18.2.22:5300");
  backend(kEcho6, Colour::kBlue, "[fd18:2::11]:5300");
  backend(kEcho6, Colour::kGreen, "[fd18:2::21]:5300");
  return plan;
}

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

}  // namespace

MacAddress backend_mac(uint16_t backend) {
  return {{0x02, 0, 0, 0, 1, static_cast<uint8_t>(backend)}};
}

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

Client client(uint16_t service, uint32_t number) {
  const bool v6 = service == kWeb6 || service == kEcho6;
  const std::string address = (v6 ? "fd18:1::" : "198.18.1.") + std::to_string(101 + number % 4);
  return {service, *IpAddress::parse(address), static_cast<uint16_t>(40'000 + number)};
}

SwitchTest::SwitchTest() : plan(plan_of_all_tests()) {}
SwitchTest::~SwitchTest() = default;

void SwitchTest::start(const SwitchOptions& options) {
  start_unpublished(options);
  publish();
  settle();
  writer_->acknowledge(1);
}

void SwitchTest::start_unpublished(const SwitchOptions& options) {
  options_ = options;
  std::string run_dir = (std::filesystem::temp_directory_path() / "teal-switch-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(run_dir.data()), nullptr);
  run_dir_ = run_dir;
  auto opened = Segment::open_or_create({.run_dir = run_dir_,
                                         .flow_capacity = options.flow_capacity,
                                         .hash_seed = 42,
                                         .partitions = options.partitions,
                                         .try_huge_pages = false});
  ASSERT_TRUE(opened.has_value()) << opened.error();
  opened_ = std::make_unique<Segment::Opened>(std::move(*opened));
  static const uint64_t tsc_hz = measure_tsc_hz();
  header().tsc_hz = tsc_hz;
  for (const NumberedBackend& backend : plan.backends)
    header().next_hops[backend.id].store(Hop{kBack, backend_mac(backend.id)}.word());
  writer_ = std::make_unique<PublicationWriter>(segment());
  open_ports();
  start_workers(options.workers);
}

void SwitchTest::open_ports() {
  const std::array<MacAddress, kWires> macs = {kEdgeMac, kBackMac, kSideMac};
  const std::array<uint8_t, kWires> sides = {kClientSide, kBackendSide, kClientSide};
  const std::array<const char*, kWires> names = {"front", "back", "side"};
  for (uint16_t wire = 0; wire < kWires; ++wire) {
    Port port;
    port.id = wire;
    port.name = names[wire];
    port.mac = macs[wire];
    port.side = sides[wire];
    port.steered = options_.steered;
    for (uint16_t queue = 0; queue < kMaxTestWorkers; ++queue)
      port.queues.push_back({RingPorts::get().ethdev(wire), queue});
    ports_.push_back(port);
  }
}

void SwitchTest::start_workers(uint32_t workers) {
  last_workers_ = workers;
  auto handover = Handover::create(workers);
  ASSERT_TRUE(handover.has_value()) << handover.error();
  handover_ = std::make_unique<Handover>(std::move(*handover));
  shared_.reset(new WorkerContext{.segment = segment(),
                                  .ports = ports_,
                                  .handover = *handover_,
                                  .punt = punt,
                                  .pool = RingPorts::get().pool(),
                                  .idle = Idle::kSpin});
  for (uint32_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(*shared_, i));
}

void SwitchTest::stop_workers() {
  settle();  // nothing may stay in a handover ring
  workers_.clear();
  shared_.reset();
  handover_.reset();
}

void SwitchTest::restart(uint32_t workers) {
  stop_workers();
  resume_flows(segment(), workers);
  start_workers(workers);
}

void SwitchTest::restart_writer() {
  writer_ = std::make_unique<PublicationWriter>(segment());
}

void SwitchTest::TearDown() {
  if (opened_ == nullptr) return;
  stop_workers();
  for (uint16_t ring = 0; ring < kRings; ++ring) collect_from(ring);
  uint64_t decided = count(Event::k_tx) + count(Event::k_punted);
  for (uint32_t reason = 0; reason < kDropReasonCount; ++reason)
    decided += count(static_cast<DropReason>(reason));
  EXPECT_EQ(count(Event::k_rx), injected_);
  EXPECT_EQ(decided, injected_ + count(Event::k_reset_probes)) << "each packet has exactly one verdict";
  EXPECT_TRUE(ledger_is_exact());
  EXPECT_TRUE(RingPorts::get().pool_is_whole()) << "an mbuf leaked or was freed twice";
  writer_.reset();
  opened_.reset();
  std::filesystem::remove_all(run_dir_);
}

// A slot may wait for the workers to pass a quiescent state.
uint8_t SwitchTest::publish_slot(std::optional<uint8_t> (PublicationWriter::*free_slot)()) {
  std::optional<uint8_t> slot = (writer_.get()->*free_slot)();
  if (!slot) {
    settle();
    slot = (writer_.get()->*free_slot)();
  }
  if (!slot) ADD_FAILURE() << "no slot becomes free";
  return slot.value_or(0);
}

uint64_t SwitchTest::next_generation() const {
  return writer_->current().generation + 1;
}

uint64_t SwitchTest::publish() {
  const uint8_t slot = publish_slot(&PublicationWriter::free_ruleset_slot);
  const auto built = build_ruleset(plan, segment().ruleset(slot));
  EXPECT_TRUE(built.has_value());
  return publish(slot);
}

uint64_t SwitchTest::publish_splits() {
  return publish(writer_->current().ruleset_slot);
}

uint64_t SwitchTest::publish(uint8_t ruleset_slot) {
  const uint8_t slot = publish_slot(&PublicationWriter::free_target_slot);
  segment().splits(slot) = *splits;
  const uint64_t generation = next_generation();
  writer_->publish({.generation = generation, .ruleset_slot = ruleset_slot, .split_slot = slot});
  return generation;
}

void SwitchTest::point_target(uint16_t service, Colour to, uint32_t drain_ticks) {
  TrafficSplit& split = splits->services[service];
  split.previous = split.active;
  split.active = to;
  split.flip_generation = static_cast<uint32_t>(next_generation());
  split.flipped_at_tick = now_ticks();
  split.drain_ticks = drain_ticks;
}

uint64_t SwitchTest::flip(const std::vector<uint16_t>& services, Colour to, uint32_t drain_ticks) {
  for (const uint16_t service : services) point_target(service, to, drain_ticks);
  const uint64_t generation = publish_splits();
  settle();
  EXPECT_TRUE(writer_->adoption(true).complete());
  writer_->acknowledge(generation);
  return generation;
}

const Socket& SwitchTest::vip(uint16_t service) const {
  return plan.services[service].vip;
}
const Socket& SwitchTest::backend_socket(uint16_t backend) const {
  return plan.backends[backend].socket;
}
Colour SwitchTest::colour_of(uint16_t backend) const {
  return plan.backends[backend].weights[0].has_value() ? Colour::kBlue : Colour::kGreen;
}

uint16_t SwitchTest::chosen_backend(const Client& who, Colour colour) const {
  const Ruleset& ruleset = segment().ruleset(writer_->current().ruleset_slot);
  const uint64_t hash = flow_hash(key_of(who), 42);  // the seed of all tests
  return choose_backend(ruleset, ruleset.services[who.service], colour, choice_hash(hash, who.service));
}

Frame SwitchTest::from_client(const Client& who, uint8_t tcp_flags, std::string_view payload) const {
  const Socket& to = vip(who.service);
  PacketBuilder builder;
  builder.ip(who.address, to.address);
  to.protocol == kProtocolTcp ? builder.tcp(who.port, to.port.host(), tcp_flags)
                              : builder.udp(who.port, to.port.host());
  return builder.payload(payload).build();
}

Frame SwitchTest::from_backend(const Client& who, uint16_t backend, uint8_t tcp_flags,
                               std::string_view payload) const {
  const Socket& from = backend_socket(backend);
  PacketBuilder builder;
  builder.eth(kBackMac, backend_mac(backend)).ip(from.address, who.address);
  from.protocol == kProtocolTcp ? builder.tcp(from.port.host(), who.port, tcp_flags)
                                : builder.udp(from.port.host(), who.port);
  return builder.payload(payload).build();
}

rte_mbuf* SwitchTest::make_mbuf(Wire wire, const Frame& frame) const {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(RingPorts::get().pool());
  if (mbuf == nullptr) {
    ADD_FAILURE() << "the pool is empty";
    std::abort();
  }
  std::copy(frame.begin(), frame.end(), rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())));
  mbuf->port = RingPorts::get().ethdev(wire);
  return mbuf;
}

void SwitchTest::enqueue(Wire wire, uint16_t queue, rte_mbuf* mbuf) {
  ASSERT_TRUE(RingPorts::get().put(wire, queue, mbuf)) << "the ring is full: settle() more often";
  ++injected_;
}

void SwitchTest::inject(Wire wire, const Frame& frame, uint16_t queue) {
  enqueue(wire, queue, make_mbuf(wire, frame));
}

void SwitchTest::settle() {
  for (bool busy = true; busy;) {
    busy = false;
    for (const auto& worker : workers_) busy |= worker->iterate() != 0;
  }
}

std::vector<Sent> SwitchTest::collect() {
  std::vector<Sent> sent;
  for (uint16_t wire = 0; wire < kWires; ++wire) {
    const std::vector<Sent> by_wire = collect_from(wire);
    sent.insert(sent.end(), by_wire.begin(), by_wire.end());
  }
  return sent;
}

std::vector<Sent> SwitchTest::collect_from(uint16_t ring) {
  std::vector<Sent> sent;
  while (rte_mbuf* mbuf = RingPorts::get().take(ring)) {
    const auto* bytes = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    sent.push_back({ring, Frame(bytes, bytes + rte_pktmbuf_data_len(mbuf))});
    rte_pktmbuf_free(mbuf);
  }
  return sent;
}

Sent SwitchTest::pass(Wire wire, const Frame& frame, uint16_t queue) {
  inject(wire, frame, queue);
  settle();
  auto sent = collect();
  EXPECT_LE(sent.size(), 1u);
  return sent.empty() ? Sent{} : sent.front();
}

testing::AssertionResult SwitchTest::punts_unchanged(Wire wire, const Frame& frame) {
  const uint64_t before = punts();
  rte_mbuf* mbuf = make_mbuf(wire, frame);
  rte_mbuf_refcnt_update(mbuf, 1);
  enqueue(wire, 0, mbuf);
  settle();
  const auto* bytes = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  const bool unchanged = Frame(bytes, bytes + rte_pktmbuf_data_len(mbuf)) == frame;
  rte_pktmbuf_free(mbuf);
  if (!collect().empty()) return testing::AssertionFailure() << "it left by a port";
  if (punts() != before + 1) return testing::AssertionFailure() << "it was not punted";
  if (!unchanged) return testing::AssertionFailure() << "it was changed";
  return testing::AssertionSuccess();
}

testing::AssertionResult SwitchTest::drops(DropReason reason, Wire wire, const Frame& frame) {
  const uint64_t before = count(reason);
  if (pass(wire, frame).port != kNowhere) return testing::AssertionFailure() << "it left by a port";
  if (count(reason) != before + 1)
    return testing::AssertionFailure()
           << "it does not count as " << kDropReasonNames[static_cast<int>(reason)];
  return testing::AssertionSuccess();
}

uint16_t SwitchTest::backend_of(const Sent& sent) const {
  if (sent.port == kNowhere) return kNoId;
  const Socket to = end_of(sent.frame, false);
  for (const NumberedBackend& backend : plan.backends) {
    if (backend.socket == to) return backend.id;
  }
  return kNoId;
}

uint16_t SwitchTest::send_from_client(const Client& who, uint8_t tcp_flags) {
  return backend_of(pass(kFront, from_client(who, tcp_flags)));
}

uint16_t SwitchTest::open_flow(const Client& who) {
  const uint16_t backend = send_from_client(who, kSyn);
  EXPECT_NE(backend, kNoId);
  if (backend == kNoId) return kNoId;
  EXPECT_EQ(pass(kBack, from_backend(who, backend, kSynAck)).port, kFront);
  if (vip(who.service).protocol == kProtocolTcp) {
    EXPECT_EQ(send_from_client(who, kAck), backend);
  }
  EXPECT_EQ(phase_of(who), FlowPhase::kEstablished);
  EXPECT_FALSE(is_unassured(who));
  return backend;
}

uint64_t SwitchTest::count(Event event) const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    sum += segment().worker(i).events[static_cast<int>(event)].read();
  return sum;
}

uint64_t SwitchTest::count(DropReason reason) const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    sum += segment().worker(i).drops[static_cast<int>(reason)].read();
  return sum;
}

}  // namespace teal::test
