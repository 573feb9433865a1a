// SPDX-License-Identifier: Apache-2.0
//
// Writes the packets that scripts/bench replays.
//
//   flow n    has its own client address and port (client_of) and the service n % services. The VIP and the
//             backend of service s are the given ones plus s in the last byte. Each service has one backend,
//             so the program knows which backend a reply must come from.
//   steps     the packets of a flow, one letter each:
//             c  from the client: UDP, or a TCP ACK
//             r  from the backend: UDP, or a TCP ACK
//             s  SYN
//             a  the backend's SYN and ACK
//             x  the client's RST
//   order     spread  The steps of one flow lie far apart. With k steps and n flows, step j of a flow comes
//                     j * n / k flows later. So no packet finds the lines of the flow's packet before it in
//                     a cache.
//             chunks  4,096 flows do their first step, then the same flows their second step, and so on.
//                     This establishes flows while only few of them wait for an answer.
//             churn   Of ten packets, eight belong to established flows. One begins (SYN) and one ends (RST)
//                     a flow of other clients. Each replay begins and ends the same flows again.
//
// With --workers the file has only flows that --worker owns. The dataplane's hash decides that.
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
#include "dataplane/packet/parse.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/shm/flow_table.h"
#include "tests/support/packet_builder.h"

namespace teal {
namespace {

constexpr uint64_t kChunk = 4096;
constexpr uint32_t kClientBits = 22;  // low bits of a client's address that differ between clients

// Frames of 64, 594 and 1,518 bytes with FCS in the ratio 7 : 4 : 1.
constexpr std::array<uint32_t, 12> kImix = {60, 590, 60, 60, 590, 60, 1514, 60, 590, 60, 60, 590};

struct Plan {
  IpAddress client;
  Socket vip, backend;
  uint32_t services = 1;
  uint32_t frame_bytes = 60;  // without FCS; a frame whose headers take more is longer
  bool imix = false;
  uint64_t hash_seed = 0;
  uint32_t worker = 0, workers = 1;

  Socket shifted(Socket socket, uint32_t service) const {
    socket.address.bytes[15] = static_cast<uint8_t>(socket.address.bytes[15] + service);
    return socket;
  }

  // Different numbers below about 2^31 have different sockets: an odd factor permutes the addresses, and the
  // port changes when all addresses are used.
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

// Builds one frame per (step, service, size). rewrite_source() and rewrite_destination() then give it the
// flow's client; tests compare them with plain checksums.
class Frames {
 public:
  explicit Frames(const Plan& plan) : plan_(plan) {}

  const std::vector<uint8_t>& frame(char step, uint64_t flow, uint32_t bytes) {
    const auto service = static_cast<uint32_t>(flow % plan_.services);
    const Template& made = template_of(step, service, bytes);
    const Socket client = plan_.client_of(flow);
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
  Socket kAnyClient() const { return plan_.client_of(0); }

  const Template& template_of(char step, uint32_t service, uint32_t bytes) {
    auto& made = templates_[{step, service, bytes}];
    if (made.frame.empty()) {
      made.frame = build(step, service, bytes);
      made.parsed = parse(made.frame.data(), static_cast<uint32_t>(made.frame.size()));
      if (made.parsed.result != ParseResult::kFlowPacket) std::abort();
    }
    return made;
  }

  std::vector<uint8_t> build(char step, uint32_t service, uint32_t bytes) const {
    const Socket client = kAnyClient();
    const Socket there = plan_.shifted(is_reply(step) ? plan_.backend : plan_.vip, service);
    const Socket& from = is_reply(step) ? there : client;
    const Socket& to = is_reply(step) ? client : there;
    test::PacketBuilder builder;
    builder.ip(from.address, to.address);
    const bool tcp = plan_.vip.protocol == kProtocolTcp;
    if (tcp) {
      builder.tcp(from.port.host(), to.port.host(), tcp_flags(step)).seq(1000).ack(2000);
    } else {
      builder.udp(from.port.host(), to.port.host());
    }
    const uint32_t headers = 14 + (client.address.is_v4() ? 20 : 40) + (tcp ? 20 : 8);
    if (!tcp && bytes > headers) builder.payload_bytes(bytes - headers);
    return builder.pad_to(60).build();
  }

  const Plan& plan_;
  std::map<std::tuple<char, uint32_t, uint32_t>, Template> templates_;
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
  Replay(const Plan& plan, PcapWriter& out) : plan_(plan), frames_(plan), out_(out) {}

  std::vector<uint64_t> take(uint64_t first, uint64_t count) const {
    std::vector<uint64_t> flows;
    flows.reserve(count);
    for (uint64_t flow = first; flows.size() < count; ++flow)
      if (plan_.is_taken(flow)) flows.push_back(flow);
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
    const uint32_t bytes = plan_.imix ? kImix[emitted_ % kImix.size()] : plan_.frame_bytes;
    ++emitted_;
    out_.write(frames_.frame(step, flow, bytes));
  }

  const Plan& plan_;
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
      ("hash-seed", "as in the config", cxxopts::value<uint64_t>()->default_value("0"), "N")   //
      ("workers", "as in the config", cxxopts::value<uint32_t>()->default_value("1"), "N")     //
      ("worker", "whose flows", cxxopts::value<uint32_t>()->default_value("0"), "N");
  const auto given = parser.parse(argc, argv);
  for (const char* needed : {"out", "flows", "client", "vip", "backend"})
    if (given.count(needed) == 0) return fail(std::string("--") + needed + " is missing");

  const auto client = IpAddress::parse(given["client"].as<std::string>());
  const auto vip = parse_socket(given["vip"].as<std::string>());
  const auto backend = parse_socket(given["backend"].as<std::string>());
  if (!client || !vip || !backend) return fail("--client wants an address, --vip and --backend a socket");
  Plan plan{.client = *client, .vip = *vip, .backend = *backend};
  plan.vip.protocol = plan.backend.protocol =
      given["protocol"].as<std::string>() == "tcp" ? kProtocolTcp : kProtocolUdp;
  plan.services = given["services"].as<uint32_t>();
  plan.frame_bytes = given["frame-bytes"].as<uint32_t>();
  plan.imix = given.count("imix") != 0;
  plan.hash_seed = given["hash-seed"].as<uint64_t>();
  plan.workers = given["workers"].as<uint32_t>();
  plan.worker = given["worker"].as<uint32_t>();
  if (plan.services == 0 || plan.worker >= plan.workers || given["flows"].as<uint64_t>() == 0)
    return fail("expected at least one flow and service, and --worker below --workers");

  const std::string path = given["out"].as<std::string>();
  PcapWriter out(path);
  if (out.failed()) return fail(path + ": cannot be written");
  Replay replay(plan, out);
  const auto flows = replay.take(given["first"].as<uint64_t>(), given["flows"].as<uint64_t>());
  const std::string steps = given["steps"].as<std::string>(), order = given["order"].as<std::string>();
  if (order == "spread") {
    replay.spread(flows, steps);
  } else if (order == "chunks") {
    replay.chunks(flows, steps);
  } else if (order == "churn") {
    replay.churn(flows, replay.take(flows.back() + 1, std::max<uint64_t>(1, flows.size() / 8)));
  } else {
    return fail("--order is spread, chunks or churn");
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
