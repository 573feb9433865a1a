// SPDX-License-Identifier: Apache-2.0
//
// The parsed form of a frame that a test holds in a vector.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/parse.h"

namespace teal::test {

inline ParsedPacket parse(const std::vector<uint8_t>& frame) {
  return teal::parse(frame.data(), static_cast<uint32_t>(frame.size()));
}

inline Socket source_of(const ParsedPacket& packet) {
  return {packet.source, packet.source_port, packet.protocol};
}

inline Socket destination_of(const ParsedPacket& packet) {
  return {packet.destination, packet.destination_port, packet.protocol};
}

}  // namespace teal::test
