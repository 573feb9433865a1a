// SPDX-License-Identifier: Apache-2.0
//
// The real Worker in process, without root. Ports are pairs of rings, the segment is in a temporary
// directory, and the test calls iterate() and says what time it is: time stands still except in let_pass().
// The picture of every test:
//
//   clients 198.18.1.0/24, fd18:1::/64 -- front --+
//                                                 +-- [worker] -- back -- backends 198.18.2.0/24, fd18:2::/64
//   clients by another way ------------- side  --+
//
//   service       VIP                      blue backends (ids)          green backends (ids)
//   kWeb    0     198.18.0.10:80/tcp       .11:8080 (0) .12:8080 (1)    .21:8080 (2) .22:8080 (3)
//   kWeb6   1     [fd18::10]:80/tcp        ::11 (4)                     ::21 (5)
//   kEcho   2     198.18.0.10:5300/udp     .11:5300 (6) .12:5300 (7)    .21:5300 (8) .22:5300 (9)
//   kEcho6  3     [fd18::10]:5300/udp      ::11 (10)                    ::21 (11)
//
// The preview address of each service has .110 or ::110 in place of .10 or ::10.
//
// No kernel takes the punts: with a default-constructed Punt, each punted packet counts as punt_full and is
// freed. punts_unchanged() keeps a reference to the mbuf and compares its bytes afterwards. A test may set
// `punt` before start(): kTap0 and kTap1 are rings that can play TAPs.
//
// At the end of every test the fixture checks that each packet that was received or made had one verdict
// (rx + reset_probes + asks == tx + punted + drops), and that no mbuf is missing from the pool.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/kernel/backend_words.h"
#include "control/publish/ruleset_builder.h"
#include "dataplane/worker.h"
#include "tests/support/packet_builder.h"
#include "tests/unit/dataplane/shm/temporary_run_dir.h"

struct rte_mbuf;

namespace teal::test {

enum Wire : uint16_t { kFront, kBack, kSide, kWires, kTap0 = kWires, kTap1, kRings };  // ports by id, TAPs
inline constexpr uint16_t kNowhere = 0xffff;

enum : uint16_t { kWeb, kWeb6, kEcho, kEcho6, kServices };
inline constexpr uint16_t kBackends = 12;

inline constexpr MacAddress kFrontMac = kEdgeMac;
inline constexpr MacAddress kBackMac{{0x02, 0, 0, 0, 0, 0x12}};
inline constexpr MacAddress kSideMac{{0x02, 0, 0, 0, 0, 0x22}};
inline constexpr MacAddress kDefaultHopMac{{0x02, 0, 0, 0, 0, 0x99}};
inline constexpr std::array<MacAddress, kWires> kPortMacs = {kFrontMac, kBackMac, kSideMac};
MacAddress backend_mac(uint16_t backend);

// Holds a frame that left and its port.
struct Sent {
  uint16_t port = kNowhere;
  Frame frame;

  std::string from() const;  // "198.18.1.101:40000"
  std::string to() const;
  uint8_t ttl() const;
  MacAddress destination_mac() const;
  MacAddress source_mac() const;
};

// This is a client's end of a flow.
struct Client {
  uint16_t service = kWeb;
  IpAddress address;
  uint16_t port = 0;
  bool to_preview = false;  // speaks to the preview address
};
inline FlowKey key_of(const Client& who) {
  return {who.address, Be16::from_host(who.port), who.service};
}
// Tuples that differ with the number: four addresses, ports from 40000.
Client client(uint16_t service, uint32_t number = 0);

struct WorkerTestOptions {
  uint32_t workers = 1;
  uint64_t flow_capacity = 1000;
  uint32_t partitions = 4;
  bool steered = false;
};

class WorkerTest : public testing::Test {
 protected:
  static constexpr uint32_t kMaxTestWorkers = 4;  // queue pairs of the ring ports
  static constexpr uint32_t kTicksPerSecond = 100;
  static constexpr uint64_t kTscPerTick = 20'000'000;
  // In a table of one bucket, a service that is alone gets so many of the 24 slots.
  static constexpr uint32_t kShareOfBucket = 22;

  WorkerTest();
  ~WorkerTest() override;

  // Call once, first. Publishes `ruleset_input` and `splits`, as the test has changed them, as generation 1.
  void start(const WorkerTestOptions& options = {});
  void start_unpublished(const WorkerTestOptions& options = {});
  // Starts the workers again, as a new dataplane process on the same segment. A new worker's first sweep
  // takes many buckets at once: it goes round a small table.
  void restart(uint32_t workers);
  // The same with a dataplane of another release, whose part of the segment has another version.
  void upgrade(PartId changed);
  void stop_workers();
  void restart_writer();  // as a new daemon process
  void TearDown() override;

  // Publishes `ruleset_input` and `splits` (or `splits` alone) as the next generation. No worker has adopted
  // it yet.
  uint64_t publish();
  uint64_t publish_splits();
  // Changes the traffic splits, publishes, lets every worker adopt and acknowledges, as teald does.
  uint64_t flip(const std::vector<uint16_t>& services, Colour to, uint32_t drain_ticks = 30'000);
  void point_split(uint16_t service, Colour to, uint32_t drain_ticks = 30'000);  // a flip, unpublished
  uint64_t next_generation() const;

  // Frames of a flow as its ends send them. Flags do not matter for UDP.
  Frame from_client(const Client& who, uint8_t tcp_flags = kTcpAck, std::string_view payload = "") const;
  Frame from_backend(const Client& who, uint16_t backend, uint8_t tcp_flags = kTcpAck,
                     std::string_view payload = "") const;

  void inject(Wire wire, const Frame& frame, uint16_t queue = 0);
  // Lets time pass. No worker notices before its next iteration.
  void let_pass(uint32_t ticks) { now_tick_ += ticks; }
  uint32_t now_tick() const { return now_tick_; }
  uint32_t iterate(uint32_t worker);  // one iteration, at now_tick()
  void settle();                      // iterates all workers until none has a packet
  std::vector<Sent> collect();
  std::vector<Sent> collect_from(uint16_t ring);
  // Injects, settles and collects. Returns the one frame that left, or one with port kNowhere. Probes that
  // ask a backend (ask.h) are set aside for take_asks().
  Sent pass(Wire wire, const Frame& frame, uint16_t queue = 0);
  std::vector<Sent> take_asks() { return std::exchange(asks_, {}); }
  // The answer to such a probe by a backend that has the connection (alive), or has not.
  static Frame answer_to(const Sent& ask, bool alive);
  testing::AssertionResult punts_unchanged(Wire wire, const Frame& frame);
  testing::AssertionResult drops(DropReason reason, Wire wire, const Frame& frame);

  // The backend that a frame was sent to; kNoId if none.
  uint16_t backend_of(const Sent& sent) const;
  uint16_t send_from_client(const Client& who, uint8_t tcp_flags = kTcpAck);  // the backend it went to
  // Passes SYN, SYN with ACK, and ACK; for UDP a packet and its answer. Returns the backend.
  uint16_t open_flow(const Client& who);
  Colour colour_of(uint16_t backend) const;
  // The backend that the choice names for a new flow of this colour.
  uint16_t chosen_backend(const Client& who, Colour colour) const;

  uint64_t count(Event event) const;  // of all workers
  uint64_t count(DropReason reason) const;
  uint64_t punts() const { return count(DropReason::k_punt_full) + count(Event::k_punted); }
  Rules rules() const;  // as last published
  std::optional<Flow> flow_of(const Client& who) const;
  // Writes a flow's state past its worker. `state` has the same phase and flags, or the ledger becomes wrong.
  void set_state(const Client& who, const FlowState& state);
  std::optional<FlowPhase> phase_of(const Client& who) const;
  bool is_unassured(const Client& who) const;
  uint64_t flows() const;  // by counting the table
  // How many flows that are not assured the only worker may have of one service, if no other has any.
  uint32_t embryonic_quota() const;
  // Every worker's live, closing and embryonic counts equal what a recount of its part of the table gives.
  testing::AssertionResult ledger_is_exact() const;

  Segment& segment() { return opened_->segment; }
  const Segment& segment() const { return opened_->segment; }
  SegmentHeader& header() { return segment().header(); }
  BackendWords words() { return BackendWords(header()); }
  Handover& handover() { return *handover_; }
  CurrentMacs& macs() { return *macs_; }
  PublicationWriter& writer() { return *writer_; }

  rte_mbuf* make_mbuf(Wire wire, const Frame& frame) const;  // of the frame as it arrives
  // A frame to the MAC address of one port has the address of `wire` when it arrives there, so that a test
  // can send one frame to several ports. Frames to other MAC addresses stay as they are.
  static Frame arriving_at(Wire wire, Frame frame);
  const Socket& backend_socket(uint16_t backend) const;
  const Socket& vip(uint16_t service) const;
  const Socket& preview(uint16_t service) const;
  const Socket& address_of(const Client& who) const;  // that it speaks to

  RulesetInput ruleset_input;
  Punt punt;
  std::unique_ptr<TrafficSplits> splits = std::make_unique<TrafficSplits>();

 private:
  void start_workers(uint32_t workers);
  void open_segment();
  void open_ports();
  void enqueue(Wire wire, uint16_t queue, rte_mbuf* mbuf);
  FlowIndex index_of(const Client& who) const;
  uint8_t publish_slot(std::optional<uint8_t> (PublicationWriter::*free_slot)());
  uint64_t publish(uint8_t ruleset_slot);

  WorkerTestOptions options_;
  TemporaryRunDir run_dir_;
  std::vector<Port> ports_;
  std::unique_ptr<Segment::Opened> opened_;
  std::unique_ptr<PublicationWriter> writer_;
  std::unique_ptr<Handover> handover_;
  std::unique_ptr<CurrentMacs> macs_;
  std::unique_ptr<WorkerContext> shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Sent> asks_;
  uint32_t last_workers_ = 1;
  uint32_t now_tick_ = 1'000'000;
  uint64_t injected_ = 0;
  uint64_t latest_generation_ = 0;
};

// Flags of TCP segments.
inline constexpr uint8_t kSyn = kTcpSyn, kAck = kTcpAck, kSynAck = kTcpSyn | kTcpAck,
                         kFin = kTcpFin | kTcpAck, kRst = kTcpRst, kRstAck = kTcpRst | kTcpAck;

// Names the service that a test is parameterised with.
inline std::string service_param_name(const testing::TestParamInfo<uint16_t>& service) {
  static constexpr const char* kNames[] = {"Tcp4", "Tcp6", "Udp4", "Udp6"};
  return kNames[service.param];
}

}  // namespace teal::test
