// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/port_unreachable.h"

#include <algorithm>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/ip_header.h"

namespace teal {
namespace {

constexpr uint32_t kMaxIcmpBytes = 576, kMaxIcmpv6Bytes = 1280;  // with the IP header
constexpr uint8_t kProtocolIcmpOfV4 = 1, kProtocolIcmpOfV6 = 58;

}  // namespace

uint32_t turn_into_port_unreachable(uint8_t* frame, const ParsedPacket& packet) {
  const bool v4 = packet.is_v4;
  const uint32_t ip_bytes = v4 ? kIpv4Bytes : kIpv6Bytes;
  const uint32_t packet_bytes = packet.l4_offset - packet.l3_offset + kUdpBytes + packet.payload_bytes;
  const uint32_t quoted_bytes =
      std::min(packet_bytes, (v4 ? kMaxIcmpBytes : kMaxIcmpv6Bytes) - ip_bytes - kIcmpBytes);
  const uint32_t icmp_bytes = kIcmpBytes + quoted_bytes;
  const uint8_t protocol = v4 ? kProtocolIcmpOfV4 : kProtocolIcmpOfV6;

  uint8_t* icmp = frame + kEthernetBytes + ip_bytes;
  std::memmove(icmp + kIcmpBytes, frame + packet.l3_offset, quoted_bytes);
  write_ip_header(frame, packet.destination, packet.source, protocol, icmp_bytes);
  std::memset(icmp, 0, kIcmpBytes);
  icmp[0] = v4 ? 3 : 1;  // type: destination unreachable
  icmp[1] = v4 ? 3 : 4;  // code: port unreachable
  const uint32_t pseudo_sum = v4 ? 0 : pseudo_header_sum(frame, protocol, icmp_bytes);
  fields::store_raw(icmp + fields::kIcmpChecksum,
                    static_cast<uint16_t>(~fold(ones_complement_sum(icmp, icmp_bytes, pseudo_sum))));
  return kEthernetBytes + ip_bytes + icmp_bytes;
}

}  // namespace teal
