// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/packet/parse_plain.h"

namespace teal::test {

// Does parse_plain_ipv4() or _ipv6() say the same of a frame as parse() did? Each takes all that it is for,
// and nothing else.
inline bool plain_agrees(const uint8_t* frame, uint32_t bytes, const ParsedPacket& parsed) {
  const bool flow = parsed.result == ParseResult::kFlowPacket;
  const bool plain4 = flow && parsed.is_v4 && parsed.l4_offset == 14 + 20;
  const bool plain6 = flow && !parsed.is_v4 && parsed.l4_offset == 14 + 40;
  ParsedPacket as4, as6;
  return parse_plain_ipv4(frame, bytes, as4) == plain4 && (!plain4 || as4 == parsed) &&
         parse_plain_ipv6(frame, bytes, as6) == plain6 && (!plain6 || as6 == parsed);
}

}  // namespace teal::test
