// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The steering rules again, in the simplest form. Every read checks bounds and throws; a frame whose reading
// throws passes to the kernel.
#pragma once

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "bpf/steer_maps.h"
#include "tests/bpf/frame.h"

namespace teal {

class SteerReference {
 public:
  SteerReference(const SteerSet& set, bool backend_side) : set_(set), backend_side_(backend_side) {}

  steer_verdict judge(const frame::Bytes& in) const {
    try {
      return judge_or_throw(in);
    } catch (const std::out_of_range&) {
      return STEER_PASS;
    }
  }

 private:
  using Bytes = frame::Bytes;
  struct Packet {
    steer_address source, destination;
    int protocol = 0, source_port = -1, destination_port = -1;
    bool later = false;
    Bytes payload;  // after the IP headers
  };

  static unsigned u16(const Bytes& bytes, size_t at) { return bytes.at(at) * 256u + bytes.at(at + 1); }
  static Bytes from(const Bytes& bytes, size_t begin) {
    if (begin > bytes.size()) throw std::out_of_range("short");
    return Bytes(bytes.begin() + static_cast<long>(begin), bytes.end());
  }
  static void check(bool valid) {
    if (!valid) throw std::out_of_range("invalid");
  }
  static steer_address address_at(const Bytes& bytes, size_t at, bool v6) {
    steer_address address = {};
    if (!v6) address.bytes[10] = address.bytes[11] = 0xff;
    for (size_t i = v6 ? 0 : 12; i < 16; ++i) address.bytes[i] = bytes.at(at++);
    static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    check(!v6 || std::memcmp(address.bytes, kMapped, 12) != 0);
    return address;
  }

  static bool has_source_route(const Bytes& options) {
    for (size_t at = 0; at < options.size() && options[at] != 0;) {
      if (options[at] == 131 || options[at] == 137) return true;
      if (options[at] == 1) {
        ++at;
        continue;
      }
      if (at + 1 >= options.size() || options[at + 1] < 2) return false;
      at += options[at + 1];
    }
    return false;
  }

  static Packet read(Bytes ip, bool v6, bool quoted) {
    Packet packet;
    check(ip.at(0) >> 4 == (v6 ? 6 : 4));
    const size_t header = v6 ? 40 : (ip.at(0) & 15) * 4u;
    const size_t total = v6 ? 40 + u16(ip, 4) : u16(ip, 2);
    check(header >= 20 && total >= header && (quoted || total <= ip.size()));
    ip.at(v6 ? 39 : 19);
    check(quoted || ip[v6 ? 7 : 8] > 1);
    if (total < ip.size()) ip.resize(total);
    packet.source = address_at(ip, v6 ? 8 : 12, v6);
    packet.destination = address_at(ip, v6 ? 24 : 16, v6);
    packet.protocol = ip.at(v6 ? 6 : 9);
    packet.later = !v6 && u16(ip, 6) % 8192 != 0;
    if (!v6 && !quoted)
      check(!has_source_route(Bytes(ip.begin() + 20, ip.begin() + static_cast<long>(header))));
    size_t at = header;
    for (int i = 0; v6 && i < 6 && !packet.later; ++i) {
      const int protocol = packet.protocol;
      if (protocol != 0 && protocol != 43 && protocol != 60 && protocol != 44) break;
      ip.at(at + 7);
      check(protocol != 43 || ip[at + 3] == 0);
      packet.later = protocol == 44 && u16(ip, at + 2) >= 8;
      packet.protocol = ip[at];
      at += protocol == 44 ? 8 : ip[at + 1] * 8u + 8;
    }
    const bool has_ports =
        !packet.later && (packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP);
    if (has_ports) {
      packet.payload = from(ip, at);
      if (!quoted) packet.payload.at(packet.protocol == IPPROTO_TCP ? 19 : 7);
      packet.source_port = static_cast<int>(u16(packet.payload, 0));
      packet.destination_port = static_cast<int>(u16(packet.payload, 2));
    } else if (at <= ip.size()) {
      packet.payload = from(ip, at);
    }
    return packet;
  }

  static bool same(const void* a, const void* b) { return std::memcmp(a, b, 16) == 0; }
  static bool has(const std::vector<steer_socket>& sockets, const steer_address& address, int port,
                  int protocol) {
    return std::any_of(sockets.begin(), sockets.end(), [&](const steer_socket& s) {
      return same(s.address, address.bytes) && ntohs(s.port_be) == port && s.protocol == protocol;
    });
  }
  static bool has_address(const std::vector<steer_socket>& sockets, const steer_address& address) {
    return std::any_of(sockets.begin(), sockets.end(),
                       [&](const steer_socket& s) { return same(s.address, address.bytes); });
  }
  bool is_local(const steer_address& address) const {
    return std::any_of(set_.local_addresses.begin(), set_.local_addresses.end(),
                       [&](const steer_address& a) { return same(a.bytes, address.bytes); });
  }

  steer_verdict judge_or_throw(const Bytes& in) const {
    check(std::equal(std::begin(frame::kPortMac), std::end(frame::kPortMac), in.begin()));
    const unsigned type = u16(in, 12);
    check(type == 0x0800 || type == 0x86dd);
    const bool v6 = type == 0x86dd;
    const Packet p = read(from(in, 14), v6, false);
    if (p.later) {
      if (has_address(set_.vips, p.destination)) return STEER_FRAGMENT;
      if (is_local(p.destination) || !backend_side_) return STEER_PASS;
      return has_address(set_.backends, p.source) ? STEER_FRAGMENT : STEER_PASS;
    }
    if (p.protocol == IPPROTO_TCP || p.protocol == IPPROTO_UDP) {
      if (has(set_.vips, p.destination, p.destination_port, p.protocol)) return STEER_TO_VIP;
      if (is_local(p.destination) || !backend_side_) return STEER_PASS;
      return has(set_.backends, p.source, p.source_port, p.protocol) ? STEER_FROM_BACKEND : STEER_PASS;
    }
    check(p.protocol == (v6 ? 58 : 1));
    const int icmp = p.payload.at(0);
    check(v6 ? icmp >= 1 && icmp <= 4 : icmp == 3 || icmp == 11 || icmp == 12);
    const Packet q = read(from(p.payload, 8), v6, true);
    if (has_address(set_.vips, p.destination) && has(set_.vips, q.source, q.source_port, q.protocol)) {
      return STEER_ICMP_ERROR;
    }
    if (is_local(p.destination) || !backend_side_) return STEER_PASS;
    return has(set_.backends, q.destination, q.destination_port, q.protocol) ? STEER_ICMP_ERROR : STEER_PASS;
  }

  SteerSet set_;
  bool backend_side_;
};

}  // namespace teal
