// SPDX-License-Identifier: Apache-2.0
//
// Measures the stages of a worker (worker.cc: forward()) on bursts of 64, without EAL, ports or another core:
// where the cycles go, and what a change of one stage brings.
//
//   stage_chain --flows 65536                       cycles a packet of each stage, by TSC
//   valgrind --tool=callgrind --toggle-collect='*measured_burst*' stage_chain --flows 1000 --bursts 200 ...
//                                                   instructions, which repeat to the last digit
//
// It prints the median over all bursts, so a burst in which the core was taken away does not count. A
// packet's bytes are copied into one of a few buffers before classify() sees them, as net_pcap does: `source`
// is that copy and not part of the sum. The default packets are of established flows and from clients.
// Client addresses are permuted, so that no prefetcher helps.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <vector>

#include <cxxopts.hpp>

#include "control/publish/ruleset_builder.h"
#include "dataplane/config/options.h"
#include "dataplane/pipeline/classify.h"
#include "dataplane/pipeline/track.h"
#include "dataplane/pipeline/translate.h"
#include "tests/support/packet_builder.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

namespace teal {
namespace {

constexpr uint16_t kServices = 16;
constexpr uint32_t kBuffers = 256;  // as many mbufs as the cache of a mempool gives out in turn
constexpr uint32_t kDataRoom = RTE_MBUF_DEFAULT_BUF_SIZE;
constexpr uint32_t kFrameBytes = 64;  // of a frame in the source, at most
constexpr uint32_t kNow = 1000;       // tick

enum Stage : uint32_t { kSource, kClassify, kTrack, kTranslate, kStages };
constexpr std::array<const char*, kStages> kStageNames = {"source", "classify", "track", "translate"};

Socket socket_of(const std::string& text, uint8_t protocol) {
  Socket socket = parse_socket(text).value();
  socket.protocol = protocol;
  return socket;
}

enum class Packets : uint8_t { kEstablished, kNew, kSlow };

struct Options {
  uint64_t flows, held, bursts;
  bool tcp, replies;
  Packets packets;
};

class Chain {
 public:
  explicit Chain(const Options& options) : options_(options), segment_(open_segment(options)) {
    publish_ruleset();
    macs_.set(0, test::kEdgeMac);
    PortTraits port{.hop_prefix = Hop::word_of(0, 0), .side = kClientSide | kBackendSide};
    port.set_mac(test::kEdgeMac);
    traits_.assign(RTE_MAX_ETHPORTS, port);
    buffers_.resize(kBuffers * kDataRoom);
    mbufs_.resize(kBuffers);
    for (uint32_t i = 0; i < kBuffers; ++i) {
      mbufs_[i].buf_addr = &buffers_[i * kDataRoom];
      mbufs_[i].data_off = RTE_PKTMBUF_HEADROOM;
    }
    establish();
  }
  ~Chain() {
    const auto huge = SegmentPaths::of(run_dir_, "segment").huge;
    if (!huge.empty()) std::filesystem::remove_all(std::filesystem::path(huge).parent_path());
    std::filesystem::remove_all(run_dir_);
  }

  // One burst of --packets through all stages. Never inlined: callgrind counts what is below this function.
  __attribute__((noinline)) void measured_burst(std::array<uint64_t, kStages>& cycles) { run_burst(cycles); }

  uint64_t flows_held() const {
    uint64_t count = 0;
    for (const auto& by_colour : segment_.worker(0).flows)
      for (const FlowCount& flows : by_colour) count += flows.live.load(std::memory_order_relaxed);
    return count;
  }

 private:
  // Passes one burst through all stages and stores the cycles of each.
  void run_burst(std::array<uint64_t, kStages>& cycles) {
    uint64_t before = rte_rdtsc();
    const auto stage_done = [&](Stage stage) {
      const uint64_t now = rte_rdtsc();
      cycles[stage] = now - before;
      before = now;
    };
    receive();
    stage_done(kSource);
    const LookAhead lookups(burst_, flows_.table());
    classify(burst_, rules_, traits_, lookups);
    stage_done(kClassify);
    tracker_.track(burst_, rules_, traits_, macs_, lookups, kNow);
    stage_done(kTrack);
    translate(burst_, rules_, macs_);
    stage_done(kTranslate);
    for (uint32_t i = 0; i < Burst::kCapacity; ++i)
      if (burst_.packets[i].verdict.kind() != Verdict::Kind::kForward) std::abort();
  }

  Segment open_segment(const Options& options) {
    run_dir_ = (std::filesystem::temp_directory_path() / "teal-stage-chain-XXXXXX").string();
    if (mkdtemp(run_dir_.data()) == nullptr) std::abort();
    auto opened = Segment::open_or_create({.run_dir = run_dir_,
                                           .flow_capacity = std::max<uint64_t>(options.held, 1 << 20),
                                           .hash_seed = 42,
                                           .try_huge_pages = true});
    if (!opened) {
      std::cerr << opened.error() << '\n';
      std::exit(1);
    }
    if (!opened->no_huge_pages.empty()) std::cerr << "no huge pages: " << opened->no_huge_pages << '\n';
    return std::move(opened->segment);
  }

  void publish_ruleset() {
    RulesetInput plan;
    plan.timeouts = {3'000, 700'000, 30'000, 1'000, 6'000};
    const uint8_t protocol = options_.tcp ? kProtocolTcp : kProtocolUdp;
    for (uint16_t s = 0; s < kServices; ++s) {
      plan.services.push_back({.id = s,
                               .name = "service",
                               .vip = socket_of("198.18.0." + std::to_string(10 + s) + ":5300", protocol)});
      NumberedBackend backend{.id = s, .service = s};
      backend.socket = socket_of("198.18.2." + std::to_string(10 + s) + ":5300", protocol);
      backend.weights[0] = 1;
      plan.backends.push_back(backend);
      segment_.header().next_hops[s].store(Hop{0, {{2, 0, 0, 0, 0, 1}}}.word());
    }
    if (!build_ruleset(plan, segment_.ruleset(0))) std::abort();
  }

  // A flow's client address is a permutation of its number.
  void write_frame(uint64_t flow, bool reply, uint8_t tcp_flags, uint8_t* frame) {
    auto& made = templates_[reply][flow % kServices];
    if (made.frame.empty()) {
      const std::string last = std::to_string(10 + flow % kServices);
      test::PacketBuilder builder;
      reply ? builder.ipv4("198.18.2." + last, "10.0.0.0") : builder.ipv4("10.0.0.0", "198.18.0." + last);
      const uint16_t from = reply ? 5300 : 1024, to = reply ? 1024 : 5300;
      options_.tcp ? builder.tcp(from, to, tcp_flags) : builder.udp(from, to);
      made.frame = builder.pad_to(60).build();
      made.parsed = parse(made.frame.data(), 60);
    }
    const auto bits = static_cast<uint32_t>(flow * 0x9e3779b1u) & 0xff'ffffu;
    const uint8_t address[4] = {10, static_cast<uint8_t>(bits >> 16), static_cast<uint8_t>(bits >> 8),
                                static_cast<uint8_t>(bits)};
    const Socket none = socket_of("10.0.0.0:1024", made.parsed.protocol);
    const Socket client{IpAddress::from_v4(address),
                        Be16::from_host(static_cast<uint16_t>(1024 + flow % 60'000)), none.protocol};
    std::copy_n(made.frame.data(), 60, frame);
    (reply ? rewrite_destination : rewrite_source)(frame, made.parsed, client,
                                                   ChecksumDelta::between(none, client));
  }

  void establish() {
    source_.resize(Burst::kCapacity * kFrameBytes);
    std::array<uint64_t, kStages> ignored{};
    for (uint64_t first = 0; first < options_.held; first += Burst::kCapacity) {
      for (uint32_t i = 0; i < Burst::kCapacity; ++i)
        write_frame((first + i) % options_.held, false, kTcpAck, &source_[i * kFrameBytes]);
      next_ = 0;
      run_burst(ignored);
      for (uint32_t i = 0; i < Burst::kCapacity; ++i) {
        const FlowIndex flow = burst_.packets[i].flow;
        const FlowState before = flows_.table().state(flow);
        FlowState after = before;
        after.phase = FlowPhase::kEstablished;
        after.flags &= static_cast<uint8_t>(~(kFlowUnassured | kFlowUnanswered));
        after.sampled = 0;
        after.counted = 1;
        flows_.change(flow, before, after, rules_);
      }
    }
    for (auto& by_service : templates_)
      for (Template& made : by_service) made = {};
    make_source();
    next_ = 0;
  }

  // The frames of the measured bursts, in the order in which they arrive.
  void make_source() {
    const bool begin_flows = options_.packets == Packets::kNew;
    const uint64_t flows = begin_flows ? options_.bursts * Burst::kCapacity : options_.flows;
    const uint64_t first_flow = begin_flows ? options_.held : 0;
    const uint8_t tcp_flags = begin_flows                          ? kTcpSyn
                              : options_.packets == Packets::kSlow ? kTcpSyn | kTcpAck
                                                                   : kTcpAck;
    const uint64_t packets = (flows + Burst::kCapacity - 1) / Burst::kCapacity * Burst::kCapacity;
    source_.resize(packets * kFrameBytes);
    for (uint64_t n = 0; n < packets; ++n)
      write_frame(first_flow + n % flows, options_.replies && n % 2 == 1, tcp_flags,
                  &source_[n * kFrameBytes]);
  }

  void receive() {
    burst_.count = Burst::kCapacity;
    for (uint32_t i = 0; i < Burst::kCapacity; ++i) {
      rte_mbuf& mbuf = mbufs_[next_buffer_++ % kBuffers];
      std::copy_n(&source_[next_], kFrameBytes, rte_pktmbuf_mtod(&mbuf, uint8_t*));
      mbuf.data_len = 60;
      mbuf.pkt_len = 60;
      mbuf.port = 0;
      burst_.mbufs[i] = &mbuf;
      next_ += kFrameBytes;
      if (next_ == source_.size()) next_ = 0;
    }
  }

  struct Template {
    test::Frame frame;
    ParsedPacket parsed;
  };

  const Options options_;
  std::string run_dir_;
  Segment segment_;
  WorkerBlock& block_ = segment_.worker(0);
  WorkerFlows flows_{segment_, block_, 0, 1};
  LastHops last_hops_{segment_.header(), segment_.flows()};
  Signals signals_{segment_.header(), flows_, block_, 1'000'000'000};
  Burst no_burst_{};
  Probes probes_{nullptr, no_burst_};  // sends none here
  Asks asks_{flows_, probes_, segment_.header(), block_, 1};
  Tracker tracker_{segment_.header(), block_, flows_, last_hops_, signals_, asks_};
  Rules rules_{segment_.ruleset(0), segment_.splits(0), 1};
  Burst burst_;
  PortMacs macs_;
  std::vector<PortTraits> traits_;
  Template templates_[2][kServices];
  std::vector<uint8_t> source_, buffers_;
  std::vector<rte_mbuf> mbufs_;
  uint64_t next_ = 0, next_buffer_ = 0;
};

int main_of(int argc, char** argv) {
  cxxopts::Options parser("stage_chain", "What each stage of a worker takes, without EAL.");
  parser.add_options()                                                                              //
      ("flows", "that packets come from", cxxopts::value<uint64_t>()->default_value("65536"), "N")  //
      ("held", "flows in the table, at least --flows", cxxopts::value<uint64_t>()->default_value("0"),
       "N")                                                                               //
      ("bursts", "to measure", cxxopts::value<uint64_t>()->default_value("100000"), "N")  //
      ("tcp", "instead of UDP")("replies", "every second packet is the backend's")        //
      ("packets",
       "established: of flows that are there. new: each begins a flow. slow: SYN and ACK, which the fast "
       "path "
       "leaves to the slow path (with --tcp)",
       cxxopts::value<std::string>()->default_value("established"), "KIND");
  const auto given = parser.parse(argc, argv);
  const std::string kind = given["packets"].as<std::string>();
  Options options{.flows = given["flows"].as<uint64_t>(),
                  .held = given["held"].as<uint64_t>(),
                  .bursts = given["bursts"].as<uint64_t>(),
                  .tcp = given.count("tcp") != 0,
                  .replies = given.count("replies") != 0,
                  .packets = kind == "new"    ? Packets::kNew
                             : kind == "slow" ? Packets::kSlow
                                              : Packets::kEstablished};
  options.held = std::max(options.held, options.flows);
  const auto chain = std::make_unique<Chain>(options);
  std::vector<std::array<uint64_t, kStages>> taken(options.bursts);
  for (auto& cycles : taken) chain->measured_burst(cycles);

  double sum = 0;
  for (uint32_t stage = 0; stage < kStages; ++stage) {
    std::vector<uint64_t> cycles;
    for (const auto& burst : taken) cycles.push_back(burst[stage]);
    std::nth_element(cycles.begin(), cycles.begin() + static_cast<ptrdiff_t>(cycles.size() / 2),
                     cycles.end());
    const double median = static_cast<double>(cycles[cycles.size() / 2]) / Burst::kCapacity;
    if (stage != kSource) sum += median;
    std::printf("%-12s %7.1f cycles a packet\n", kStageNames[stage], median);
  }
  std::printf("%-12s %7.1f cycles a packet, without source; %llu flows in the table\n", "sum", sum,
              static_cast<unsigned long long>(chain->flows_held()));
  return 0;
}

}  // namespace
}  // namespace teal

int main(int argc, char** argv) {
  return teal::main_of(argc, argv);
}
