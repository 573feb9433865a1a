// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet/ip_header.h"

#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/header_fields.h"

namespace teal {
namespace {

constexpr uint8_t kHops = 64;  // TTL or hop limit

void put16(uint8_t* at, uint32_t value) {
  fields::store_raw(at, Be16::from_host(static_cast<uint16_t>(value)).raw);
}

bool has_ipv4(const uint8_t* frame) {
  return frame[kEthernetBytes] >> 4 == 4;
}

}  // namespace

uint32_t write_ip_header(uint8_t* frame, const IpAddress& source, const IpAddress& destination,
                         uint8_t protocol, uint32_t l4_bytes) {
  uint8_t* l3 = frame + kEthernetBytes;
  if (source.is_v4()) {
    put16(frame + 12, kEtherTypeIpv4);
    std::memset(l3, 0, kIpv4Bytes);
    l3[0] = 0x45;
    put16(l3 + 2, kIpv4Bytes + l4_bytes);
    put16(l3 + 6, 0x4000);  // don't fragment: the identification may be 0 then (RFC 6864, 4.1)
    l3[fields::kIpv4Ttl] = kHops;
    l3[9] = protocol;
    std::memcpy(l3 + fields::kIpv4Source, source.v4_bytes(), 4);
    std::memcpy(l3 + fields::kIpv4Destination, destination.v4_bytes(), 4);
    fields::store_raw(l3 + fields::kIpv4Checksum,
                      static_cast<uint16_t>(~fold(ones_complement_sum(l3, kIpv4Bytes))));
    return kEthernetBytes + kIpv4Bytes;
  }
  put16(frame + 12, kEtherTypeIpv6);
  std::memset(l3, 0, 8);
  l3[0] = 0x60;
  put16(l3 + 4, l4_bytes);
  l3[6] = protocol;
  l3[fields::kIpv6HopLimit] = kHops;
  std::memcpy(l3 + fields::kIpv6Source, source.bytes, 16);
  std::memcpy(l3 + fields::kIpv6Destination, destination.bytes, 16);
  return kEthernetBytes + kIpv6Bytes;
}

uint32_t pseudo_header_sum(const uint8_t* frame, uint8_t protocol, uint32_t l4_bytes) {
  const uint8_t* l3 = frame + kEthernetBytes;
  const uint32_t addresses = has_ipv4(frame) ? ones_complement_sum(l3 + fields::kIpv4Source, 8)
                                             : ones_complement_sum(l3 + fields::kIpv6Source, 32);
  return addresses + Be16::from_host(protocol).raw +
         uint32_t{Be16::from_host(static_cast<uint16_t>(l4_bytes)).raw};
}

}  // namespace teal
