// SPDX-License-Identifier: Apache-2.0
//
// Writes the packets that scripts/bench replays.
//
//   flow n    Its client address and port are its own (client_of), its service is n % services. VIP and
//             backend of service s are the given ones plus s in the last byte. A service has one backend, so
//             the replies are known without asking the dataplane for its choice.
//   steps     The packets of a flow, one letter each: c from the client and r from the backend (UDP, or a TCP
//             ACK), s a SYN, a the backend's SYN and ACK, x the client's RST.
//   order     spread  The steps of a flow are far apart: turn i emits each step j of k, for the flow
//                     i + j * flows / k. So no packet finds cache lines of the packet before it.
//             chunks  4,096 flows do their first step, then their second step, and so on. This establishes
//                     flows while few of them wait for an answer.
//             churn   Of ten packets, eight belong to established flows, one begins (SYN) and one ends (RST)
//                     a flow of another client. A replay begins these flows again.
//
// With --expired N, each N-th packet of the file has TTL 1, so a router may not forward it.
//
// With --workers, only flows that --worker owns are used, by the hash of the dataplane.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include <cxxopts.hpp>

#include "dataplane/packet/flow_key.h"
#include "dataplane/packet/header_fields.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/shm/flow_table.h"
#include "tests/support/packet_builder.h"

namespace teal {
namespace {

constexpr uint64_t kChunk = 4096;
constexpr uint8_t kTtl = 64;
constexpr uint32_t kClientBits = 22;  // the lower bits in which clients' addresses differ

// Frames of 64, 594 and 1,518 bytes with FCS, in the proportion 7 : 4 : 1. Sizes are without FCS.
constexpr std::array<uint32_t, 12> kImix = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590};

struct Traffic {
  IpAddress client;
  Socket vip, backend;
  uint32_t services = 1;
  uint32_t frame_bytes = 60;  // without FCS; a frame whose headers take more is longer
  bool imix = false;
  uint64_t expired = 0;  // each packet of this number has TTL 1; 0: none
  uint64_t hash_seed = 0;
  uint32_t worker = 0, workers = 1;
  MacAddress to_mac;

  Socket shifted(Socket socket, uint32_t service) const {
    socket.address.bytes[15] = static_cast<uint8_t>(socket.address.bytes[15] + service);
    return socket;
  }

  // Returns a different client for each number below about 2^31. An odd factor permutes the addresses. After
  // the last address, the port changes.
  Socket client_of(uint64_t flow) const {
    const auto low = static_cast<uint32_t>(flow & ((1u << kClientBits) - 1));
    const uint32_t bits = (low * 0x9e3779b1u) & ((1u << kClientBits) - 1);
    Socket socket{
        client,
        Be16::from_host(static_cast<uint16_t>(1024 + (low * 40503u + (flow >> kClientBits)) % 60'000)),
        vip.protocol};
    uint8_t* last = socket.address.bytes + 13;
    last[0] = static_cast<uint8_t>(last[0] | (bits >> 16));
    last[1] = static_cast<uint8_t>(bits >> 8);
    last[2] = static_cast<uint8_t>(bits);
    return socket;
  }

  bool is_taken(uint64_t flow) const {
    if (workers == 1) return true;
    const FlowTable table({.partitions = 64, .buckets_per_partition = 1}, nullptr, hash_seed);
    const Socket socket = client_of(flow);
    const auto service = static_cast<uint16_t>(flow % services);
    return table.owner_of(flow_hash(socket.address, socket.port, service, hash_seed), workers) == worker;
  }
};

// Frames are built once per (step, service, size, TTL). rewrite.h then sets the client of each frame.
class Frames {
 public:
  explicit Frames(const Traffic& traffic) : traffic_(traffic) {}

  const std::vector<uint8_t>& frame(char step, uint64_t flow, uint32_t bytes, uint8_t ttl) {
    const auto service = static_cast<uint32_t>(flow % traffic_.services);
    const Template& made = template_of(step, service, bytes, ttl);
    const Socket client = traffic_.client_of(flow);
    const ChecksumDelta delta = ChecksumDelta::between(kAnyClient(), client);
    frame_ = made.frame;
    if (is_reply(step)) {
      rewrite_destination(frame_.data(), made.parsed, client, delta);
    } else {
      rewrite_source(frame_.data(), made.parsed, client, delta);
    }
    return frame_;
  }

 private:
  struct Template {
    std::vector<uint8_t> frame;
    ParsedPacket parsed;
  };

  static bool is_reply(char step) { return step == 'r' || step == 'a'; }
  static uint8_t tcp_flags(char step) {
    if (step == 's') return kTcpSyn;
    if (step == 'a') return kTcpSyn | kTcpAck;
    return step == 'x' ? kTcpRst : kTcpAck;
  }
  Socket kAnyClient() const { return traffic_.client_of(0); }

  const Template& template_of(char step, uint32_t service, uint32_t bytes, uint8_t ttl) {
    auto& made = templates_[{step, service, bytes, ttl}];
    if (made.frame.empty()) {
      made.frame = build(step, service, bytes, ttl);
      made.parsed = parse(made.frame.data(), static_cast<uint32_t>(made.frame.size()));
      if (made.parsed.result != ParseResult::kFlowPacket) std::abort();
    }
    return made;
  }

  std::vector<uint8_t> build(char step, uint32_t service, uint32_t bytes, uint8_t ttl) const {
    const Socket client = kAnyClient();
    const Socket there = traffic_.shifted(is_reply(step) ? traffic_.backend : traffic_.vip, service);
    const Socket& from = is_reply(step) ? there : client;
    const Socket& to = is_reply(step) ? client : there;
    test::PacketBuilder builder;
    builder.eth(traffic_.to_mac, test::kClientMac).ip(from.address, to.address).ttl(ttl);
    const bool tcp = traffic_.vip.protocol == kProtocolTcp;
    if (tcp) {
      builder.tcp(from.port.host(), to.port.host(), tcp_flags(step)).seq(1000).ack(2000);
    } else {
      builder.udp(from.port.host(), to.port.host());
    }
    const uint32_t headers =
        kEthernetBytes + (client.address.is_v4() ? kIpv4Bytes : kIpv6Bytes) + (tcp ? kTcpBytes : kUdpBytes);
    if (!tcp && bytes > headers) builder.payload_bytes(bytes - headers);
    return builder.pad_to(60).build();
  }

  const Traffic& traffic_;
  std::map<std::tuple<char, uint32_t, uint32_t, uint8_t>, Template> templates_;
  std::vector<uint8_t> frame_;
};

class PcapWriter {
 public:
  explicit PcapWriter(const std::string& path) : file_(std::fopen(path.c_str(), "wb")) {
    if (file_ == nullptr) return;
    std::setvbuf(file_.get(), nullptr, _IOFBF, 1 << 20);
    const uint32_t header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};  // version 2.4, Ethernet
    std::fwrite(header, sizeof(header), 1, file_.get());
  }
  bool failed() const { return file_ == nullptr || std::ferror(file_.get()) != 0; }
  void write(const std::vector<uint8_t>& frame) {
    const auto bytes = static_cast<uint32_t>(frame.size());
    const uint32_t header[4] = {0, 0, bytes, bytes};
    std::fwrite(header, sizeof(header), 1, file_.get());
    std::fwrite(frame.data(), bytes, 1, file_.get());
  }
  bool close() { return !failed() && std::fclose(file_.release()) == 0; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
};

class Replay {
 public:
  Replay(const Traffic& traffic, PcapWriter& out) : traffic_(traffic), frames_(traffic), out_(out) {}

  std::vector<uint64_t> take(uint64_t first, uint64_t count) const {
    std::vector<uint64_t> flows;
    flows.reserve(count);
    for (uint64_t flow = first; flows.size() < count; ++flow)
      if (traffic_.is_taken(flow)) flows.push_back(flow);
    return flows;
  }

  void spread(const std::vector<uint64_t>& flows, const std::string& steps) {
    const uint64_t count = flows.size();
    for (uint64_t i = 0; i < count; ++i) {
      for (uint64_t step = 0; step < steps.size(); ++step)
        emit(steps[step], flows[(i + step * count / steps.size()) % count]);
    }
  }

  void chunks(const std::vector<uint64_t>& flows, const std::string& steps) {
    for (uint64_t begin = 0; begin < flows.size(); begin += kChunk) {
      const uint64_t end = std::min<uint64_t>(begin + kChunk, flows.size());
      for (const char step : steps)
        for (uint64_t i = begin; i < end; ++i) emit(step, flows[i]);
    }
  }

  void churn(const std::vector<uint64_t>& established, const std::vector<uint64_t>& others) {
    for (uint64_t i = 0; i < others.size(); ++i) {
      emit('s', others[i]);
      for (uint64_t k = 0; k < 4; ++k) emit('c', established[(8 * i + k) % established.size()]);
      emit('x', others[(i + others.size() / 2) % others.size()]);
      for (uint64_t k = 4; k < 8; ++k) emit('c', established[(8 * i + k) % established.size()]);
    }
  }

 private:
  void emit(char step, uint64_t flow) {
    const uint32_t bytes = traffic_.imix ? kImix[emitted_ % kImix.size()] : traffic_.frame_bytes;
    ++emitted_;
    const bool is_expired = traffic_.expired != 0 && emitted_ % traffic_.expired == 0;
    out_.write(frames_.frame(step, flow, bytes, is_expired ? 1 : kTtl));
  }

  const Traffic& traffic_;
  Frames frames_;
  PcapWriter& out_;
  uint64_t emitted_ = 0;
};

int fail(const std::string& message) {
  std::cerr << "make_pcap: " << message << '\n';
  return 2;
}

int main_of(int argc, char** argv) {
  cxxopts::Options parser("make_pcap", "Writes the packets that scripts/bench replays.");
  parser.add_options()  //
      ("out", "the file", cxxopts::value<std::string>(), "FILE")("flows", "how many",
                                                                 cxxopts::value<uint64_t>(), "N")  //
      ("first", "number of the first flow", cxxopts::value<uint64_t>()->default_value("0"), "N")   //
      ("steps", "the packets of a flow: c r s a x", cxxopts::value<std::string>()->default_value("c"),
       "LETTERS")  //
      ("order", "spread, chunks or churn", cxxopts::value<std::string>()->default_value("spread"),
       "ORDER")                                                                                //
      ("client", "base of the clients' addresses", cxxopts::value<std::string>(), "ADDRESS")   //
      ("vip", "socket of the first service", cxxopts::value<std::string>(), "SOCKET")          //
      ("backend", "socket of its backend", cxxopts::value<std::string>(), "SOCKET")            //
      ("protocol", "udp or tcp", cxxopts::value<std::string>()->default_value("udp"), "NAME")  //
      ("services", "how many", cxxopts::value<uint32_t>()->default_value("1"), "N")            //
      ("frame-bytes", "without FCS", cxxopts::value<uint32_t>()->default_value("60"), "N")     //
      ("imix", "frames of 64, 594 and 1,518 bytes, 7 : 4 : 1")                                 //
      ("expired", "each N-th packet has TTL 1; 0: none", cxxopts::value<uint64_t>()->default_value("0"),
       "N")                                                                                   //
      ("hash-seed", "as in the config", cxxopts::value<uint64_t>()->default_value("0"), "N")  //
      ("workers", "as in the config", cxxopts::value<uint32_t>()->default_value("1"), "N")    //
      ("worker", "whose flows", cxxopts::value<uint32_t>()->default_value("0"), "N")          //
      ("to-mac", "of the port that receives the frames", cxxopts::value<std::string>(), "MAC");
  const auto given = parser.parse(argc, argv);
  for (const char* needed : {"out", "flows", "client", "vip", "backend", "to-mac"})
    if (given.count(needed) == 0) return fail(std::string("--") + needed + " is missing");

  const auto client = IpAddress::parse(given["client"].as<std::string>());
  const auto vip = parse_socket(given["vip"].as<std::string>());
  const auto backend = parse_socket(given["backend"].as<std::string>());
  if (!client || !vip || !backend)
    return fail("expected an address for --client, and a socket for --vip and --backend");
  Traffic traffic{.client = *client, .vip = *vip, .backend = *backend};
  traffic.vip.protocol = traffic.backend.protocol =
      given["protocol"].as<std::string>() == "tcp" ? kProtocolTcp : kProtocolUdp;
  traffic.services = given["services"].as<uint32_t>();
  traffic.frame_bytes = given["frame-bytes"].as<uint32_t>();
  traffic.imix = given.count("imix") != 0;
  traffic.expired = given["expired"].as<uint64_t>();
  traffic.hash_seed = given["hash-seed"].as<uint64_t>();
  traffic.workers = given["workers"].as<uint32_t>();
  traffic.worker = given["worker"].as<uint32_t>();
  uint8_t* mac = traffic.to_mac.bytes;
  if (std::sscanf(given["to-mac"].as<std::string>().c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", mac, mac + 1,
                  mac + 2, mac + 3, mac + 4, mac + 5) != 6)
    return fail("expected a MAC address for --to-mac");
  if (traffic.services == 0 || traffic.worker >= traffic.workers || given["flows"].as<uint64_t>() == 0)
    return fail("expected at least one flow and service, and --worker below --workers");

  const std::string path = given["out"].as<std::string>();
  PcapWriter out(path);
  if (out.failed()) return fail(path + ": cannot be written");
  Replay replay(traffic, out);
  const auto flows = replay.take(given["first"].as<uint64_t>(), given["flows"].as<uint64_t>());
  const std::string steps = given["steps"].as<std::string>(), order = given["order"].as<std::string>();
  if (order == "spread") {
    replay.spread(flows, steps);
  } else if (order == "chunks") {
    replay.chunks(flows, steps);
  } else if (order == "churn") {
    replay.churn(flows, replay.take(flows.back() + 1, std::max<uint64_t>(1, flows.size() / 8)));
  } else {
    return fail("expected spread, chunks or churn for --order");
  }
  return out.close() ? 0 : fail(path + ": cannot be written to its end");
}

}  // namespace
}  // namespace teal

int main(int argc, char** argv) {
  try {
    return teal::main_of(argc, argv);
  } catch (const cxxopts::exceptions::exception& error) {
    return teal::fail(error.what());
  }
}
