// SPDX-License-Identifier: Apache-2.0
//
// The IP header of frames that Teal builds itself.
#pragma once

#include <cstdint>

#include "dataplane/packet/ip_address.h"

namespace teal {

// Writes the EtherType and an IP header without options for `l4_bytes` bytes of `protocol`, with a full
// checksum. Both addresses have the same family. Returns the offset of the bytes behind the header: 34 for
// IPv4, 54 for IPv6.
uint32_t write_ip_header(uint8_t* frame, const IpAddress& source, const IpAddress& destination,
                         uint8_t protocol, uint32_t l4_bytes);

// Returns the unfolded sum over the pseudo header, which the checksums of TCP, UDP and ICMPv6 cover (RFC
// 9293, 3.1; RFC 8200, 8.1). `frame` has a header of write_ip_header().
uint32_t pseudo_header_sum(const uint8_t* frame, uint8_t protocol, uint32_t l4_bytes);

}  // namespace teal
