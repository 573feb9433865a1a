// SPDX-License-Identifier: Apache-2.0
//
// Writes the seeds of fuzz_parse, one frame per file: make_parse_seeds DIR. The repository keeps the seeds in
// corpus/parse.
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>

#include "tests/support/packet_builder.h"

int main(int argc, char** argv) {
  using namespace teal;
  using test::PacketBuilder;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_parse_seeds DIR\n");
    return 2;
  }
  const auto v4 = [] { return PacketBuilder().ipv4("198.18.1.101", "198.18.0.10"); };
  const auto v6 = [] { return PacketBuilder().ipv6("fd18:1::101", "fd18::10"); };
  const auto tcp4 = v4().tcp(40000, 80, kTcpSyn).tcp_options({2, 4, 5, 180}).build();
  const auto udp4 = v4().udp(40000, 5300).payload("x").build();
  const auto tcp6 = v6().tcp(40000, 80, kTcpSyn).build();
  const auto udp6 = v6().udp(40000, 5300).payload("x").build();
  const std::pair<const char*, test::Frame> seeds[] = {
      {"tcp4", tcp4},
      {"udp4", udp4},
      {"tcp6", tcp6},
      {"udp6", udp6},
      {"tcp4_options",
       v4().ipv4_options({7, 7, 4, 0, 0, 0, 0}).tcp(40000, 80).payload("x").pad_to(100).build()},
      {"udp4_no_checksum", v4().udp(40000, 5300).no_udp_checksum().build()},
      {"udp4_fragment", v4().udp(40000, 5300).payload_bytes(32).fragment(0, true).build()},
      {"tcp4_source_route", v4().ipv4_options({131, 7, 4, 10, 0, 0, 1}).tcp(40000, 80).build()},
      {"tcp6_extensions",
       v6().hop_by_hop().routing(0, 0, 1).destination_options().fragment(0, false).tcp(40000, 80).build()},
      {"udp6_fragment", v6().fragment(0, true).udp(40000, 5300).payload_bytes(32).build()},
      {"icmp4_tcp_short", v4().icmp_unreachable(tcp4, 28).build()},
      {"icmp4_tcp", v4().icmp_error(11, 0, tcp4).build()},
      {"icmp4_udp", v4().icmp_unreachable(udp4).build()},
      {"icmp6_tcp", v6().icmp_error(2, 0, tcp6).build()},
      {"icmp6_udp", v6().hop_by_hop().icmp_unreachable(udp6).build()},
      {"vlan", v4().vlan(7).tcp(40000, 80).build()},
  };
  for (const auto& [name, frame] : seeds) {
    std::ofstream file(std::string(argv[1]) + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "make_parse_seeds: %s/%s: cannot be written\n", argv[1], name);
      return 1;
    }
  }
  return 0;
}
