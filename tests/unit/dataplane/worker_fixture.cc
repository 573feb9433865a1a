// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/worker_fixture.h"

#include <rte_errno.h>
#include <rte_mbuf.h>

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

RulesetInput ruleset_input_of_all_tests() {
  RulesetInput input;
  input.timeouts = {.embryonic = 3'000,
                    .tcp_established = 700'000,
                    .tcp_half_closed = 30'000,
                    .tcp_closed = 1'000,
                    .udp_established = 6'000};
  input.reset_rate = 1'000'000;
  const auto service = [&](uint16_t id, const char* name, const char* vip, const char* preview,
                           uint8_t protocol) {
    input.services.push_back(
        {.id = id, .name = name, .vip = socket_of(vip, protocol), .preview = socket_of(preview, protocol)});
  };
  const auto backend = [&](uint16_t service, Colour colour, const char* socket) {
    NumberedBackend numbered{.id = static_cast<uint16_t>(input.backends.size()), .service = service};
    numbered.socket = socket_of(socket, input.services[service].vip.protocol);
    numbered.weights[static_cast<int>(colour)] = 1;
    input.backends.push_back(numbered);
  };
  service(kWeb, "web", "198.18.0.10:80", "198.18.0.110:80", kProtocolTcp);
  service(kWeb6, "web6", "[fd18::10]:80", "[fd18::110]:80", kProtocolTcp);
  service(kEcho, "echo", "198.18.0.10:5300", "198.18.0.110:5300", kProtocolUdp);
  service(kEcho6, "echo6", "[fd18::10]:5300", "[fd18::110]:5300", kProtocolUdp);
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
  return input;
}

}  // namespace

MacAddress backend_mac(uint16_t backend) {
  return {{0x02, 0, 0, 0, 1, static_cast<uint8_t>(backend)}};
}

Client client(uint16_t service, uint32_t number) {
  const bool v6 = service == kWeb6 || service == kEcho6;
  const std::string address = (v6 ? "fd18:1::" : "198.18.1.") + std::to_string(101 + number % 4);
  return {service, *IpAddress::parse(address), static_cast<uint16_t>(40'000 + number)};
}

WorkerTest::WorkerTest() : ruleset_input(ruleset_input_of_all_tests()) {}
WorkerTest::~WorkerTest() = default;

void WorkerTest::start(const WorkerTestOptions& options) {
  start_unpublished(options);
  publish();
  settle();
  writer_->acknowledge(1);
}

void WorkerTest::start_unpublished(const WorkerTestOptions& options) {
  options_ = options;
  open_segment();
  for (const NumberedBackend& backend : ruleset_input.backends)
    header().next_hops[backend.id].store(Hop{kBack, backend_mac(backend.id)}.word());
  open_ports();
  start_workers(options.workers);
}

void WorkerTest::open_segment() {
  auto opened = Segment::open_or_create({.run_dir = run_dir_.path(),
                                         .flow_capacity = options_.flow_capacity,
                                         .hash_seed = 42,
                                         .partitions = options_.partitions,
                                         .try_huge_pages = false,
                                         .reserve = false});
  ASSERT_TRUE(opened.has_value()) << opened.error();
  opened_ = std::make_unique<Segment::Opened>(std::move(*opened));
  header().tsc_hz = kTicksPerSecond * kTscPerTick;
  writer_ = std::make_unique<PublicationWriter>(segment());
}

void WorkerTest::open_ports() {
  const std::array<uint8_t, kWires> sides = {kClientSide, kBackendSide, kClientSide};
  const std::array<const char*, kWires> names = {"front", "back", "side"};
  for (uint16_t wire = 0; wire < kWires; ++wire) {
    Port port;
    port.id = wire;
    port.name = names[wire];
    port.mac = kPortMacs[wire];
    port.side = header().ports[wire].side = sides[wire];
    port.steered = options_.steered;
    for (uint16_t queue = 0; queue < kMaxTestWorkers; ++queue)
      port.queues.push_back({RingPorts::get().ethdev(wire), queue});
    ports_.push_back(port);
  }
}

void WorkerTest::start_workers(uint32_t workers) {
  last_workers_ = workers;
  auto handover = Handover::create(workers);
  ASSERT_TRUE(handover.has_value()) << handover.error();
  handover_ = std::make_unique<Handover>(std::move(*handover));
  macs_ = std::make_unique<CurrentMacs>(ports_);
  shared_.reset(new WorkerContext{.segment = segment(),
                                  .ports = ports_,
                                  .macs = *macs_,
                                  .handover = *handover_,
                                  .punt = punt,
                                  .pool = RingPorts::get().pool(),
                                  .idle = Idle::kSpin});
  for (uint32_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(*shared_, i));
}

void WorkerTest::stop_workers() {
  settle();  // nothing may stay in a handover ring
  workers_.clear();
  shared_.reset();
  handover_.reset();
}

void WorkerTest::restart(uint32_t workers) {
  stop_workers();
  resume_flows(segment(), workers);
  start_workers(workers);
}

void WorkerTest::upgrade(PartId changed) {
  stop_workers();
  writer_.reset();
  header().abi = 1;
  header().parts[static_cast<size_t>(changed)].version = 1;
  opened_.reset();
  open_segment();
  if (changed == PartId::kCounters) injected_ = 0;  // the counters begin at 0
  for (Port& port : ports_) header().ports[port.id].side = port.side;
  resume_flows(segment(), last_workers_);
  start_workers(last_workers_);
}

void WorkerTest::restart_writer() {
  writer_ = std::make_unique<PublicationWriter>(segment());
}

void WorkerTest::TearDown() {
  if (opened_ == nullptr) return;
  stop_workers();
  for (uint16_t ring = 0; ring < kRings; ++ring) collect_from(ring);
  uint64_t decided = count(Event::k_tx) + count(Event::k_punted);
  for (uint32_t reason = 0; reason < kDropReasonCount; ++reason)
    decided += count(static_cast<DropReason>(reason));
  EXPECT_EQ(count(Event::k_rx), injected_);
  EXPECT_EQ(decided, injected_ + count(Event::k_reset_probes) + count(Event::k_asks))
      << "each packet has exactly one verdict";
  EXPECT_TRUE(ledger_is_exact());
  EXPECT_TRUE(RingPorts::get().pool_is_whole()) << "an mbuf leaked or was freed twice";
  writer_.reset();
  opened_.reset();
}

// A slot may wait for the workers to pass a quiescent state.
uint8_t WorkerTest::publish_slot(std::optional<uint8_t> (PublicationWriter::*free_slot)()) {
  std::optional<uint8_t> slot = (writer_.get()->*free_slot)();
  if (!slot) {
    settle();
    slot = (writer_.get()->*free_slot)();
  }
  if (!slot) ADD_FAILURE() << "no slot becomes free";
  return slot.value_or(0);
}

uint64_t WorkerTest::next_generation() const {
  return std::max(latest_generation_, writer_->current().generation) + 1;
}

uint64_t WorkerTest::publish() {
  const uint8_t slot = publish_slot(&PublicationWriter::free_ruleset_slot);
  const auto built = build_ruleset(ruleset_input, segment().ruleset(slot));
  EXPECT_TRUE(built.has_value());
  note_ids(segment().ruleset(slot), segment().flows().ids);
  return publish(slot);
}

uint64_t WorkerTest::publish_splits() {
  return publish(writer_->current().ruleset_slot);
}

uint64_t WorkerTest::publish(uint8_t ruleset_slot) {
  const uint8_t slot = publish_slot(&PublicationWriter::free_split_slot);
  segment().splits(slot) = *splits;
  const uint64_t generation = latest_generation_ = next_generation();
  writer_->publish({.generation = generation, .ruleset_slot = ruleset_slot, .split_slot = slot});
  return generation;
}

void WorkerTest::point_split(uint16_t service, Colour to, uint32_t drain_ticks) {
  TrafficSplit& split = splits->services[service];
  split.previous = split.active;
  split.active = to;
  split.flip_generation = static_cast<uint32_t>(next_generation());
  split.flipped_at_tick = now_tick_;
  split.drain_ticks = drain_ticks;
}

uint64_t WorkerTest::flip(const std::vector<uint16_t>& services, Colour to, uint32_t drain_ticks) {
  for (const uint16_t service : services) point_split(service, to, drain_ticks);
  const uint64_t generation = publish_splits();
  settle();
  EXPECT_TRUE(writer_->adoption(true).complete());
  writer_->acknowledge(generation);
  return generation;
}

const Socket& WorkerTest::preview(uint16_t service) const {
  return *ruleset_input.services[service].preview;
}
const Socket& WorkerTest::address_of(const Client& who) const {
  return who.to_preview ? preview(who.service) : vip(who.service);
}
const Socket& WorkerTest::vip(uint16_t service) const {
  return ruleset_input.services[service].vip;
}
const Socket& WorkerTest::backend_socket(uint16_t backend) const {
  return ruleset_input.backends[backend].socket;
}
Colour WorkerTest::colour_of(uint16_t backend) const {
  return ruleset_input.backends[backend].weights[0].has_value() ? Colour::kBlue : Colour::kGreen;
}

uint16_t WorkerTest::chosen_backend(const Client& who, Colour colour) const {
  const Ruleset& ruleset = segment().ruleset(writer_->current().ruleset_slot);
  const uint64_t hash = flow_hash(key_of(who), 42);  // the seed of all tests
  return first_choice(ruleset, ruleset.services[who.service], colour, choice_hash(hash, who.service));
}

uint32_t WorkerTest::iterate(uint32_t worker) {
  return workers_[worker]->iterate({.tsc = uint64_t{now_tick_} * kTscPerTick, .tick = now_tick_});
}

void WorkerTest::settle() {
  for (bool busy = true; busy;) {
    busy = false;
    for (uint32_t worker = 0; worker < workers_.size(); ++worker) busy |= iterate(worker) != 0;
  }
}

uint16_t WorkerTest::send_from_client(const Client& who, uint8_t tcp_flags) {
  return backend_of(pass(kFront, from_client(who, tcp_flags)));
}

uint16_t WorkerTest::open_flow(const Client& who) {
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

uint64_t WorkerTest::count(Event event) const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    sum += segment().worker(i).events[static_cast<int>(event)].read();
  return sum;
}

uint64_t WorkerTest::count(DropReason reason) const {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < kWorkerSlots; ++i)
    sum += segment().worker(i).drops[static_cast<int>(reason)].read();
  return sum;
}

}  // namespace teal::test
