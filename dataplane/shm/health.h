// SPDX-License-Identifier: Apache-2.0
//
// The health of backends, as the workers see it. teald writes these words beside the ruleset, without a
// publication (docs/decisions/0019-health-acts-without-a-publication.md). Each word is complete by itself:
// relaxed stores and loads. Zeroed memory means that every backend is up.
//
//   held_back[backend]          which part of its new flows a backend leaves to others
//   next_hops[backend]          Hop::kDownBit while the backend is down: the fast path leaves its packets
//   pool_mode[service][colour]  what a pool does with flows of backends that are held back
//   health_changes              raised after a change: the sweep looks at all flows once
#pragma once

#include <cstdint>

namespace teal {

// A value n of held_back lets the backend take (255 - n)/255 of its new flows. With 0 it takes all, and with
// kDown it takes none, as it is down. Values between are slow start. The other flows go to their second
// choice (pipeline/choose.h).
inline constexpr uint8_t kTakesAll = 0;
inline constexpr uint8_t kDown = 255;

enum class PoolMode : uint8_t {
  kNormal = 0,
  kAllServe = 1,  // all backends serve, also those that are held back, and on_down = "reset" resets no flow
  kReject = 2     // flows of backends that are held back are refused: a RST or an ICMP error answers
};

}  // namespace teal
