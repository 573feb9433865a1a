// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "dataplane/pipeline/pace.h"
#include "dataplane/pipeline/verdict.h"

namespace teal {

// Bounds what a worker hands to the kernel by PuntClass. A worker has one queue of a TAP for all that it
// punts, so without a limit a flood about services would keep ARP, ND, BGP and SSH out.
class PuntLimits {
 public:
  static constexpr uint32_t kNone = 0;
  // Packets a second and worker, by class. A router answers no more expired TTLs by ICMP. The kernel forwards
  // more than 100,000 packets a second on a core, so a direct download from a backend has room.
  static constexpr std::array<uint32_t, 4> kRates = {1'000, 100'000, 10'000, kNone};

  explicit PuntLimits(uint64_t tsc_hz)
      : paces_{Pace(tsc_hz, 1), Pace(tsc_hz, 1), Pace(tsc_hz, 1), Pace(tsc_hz, 1)} {}

  // Whether one more packet of this class may pass.
  bool take(PuntClass what, uint64_t now_tsc) {
    const auto index = static_cast<size_t>(what);
    return kRates[index] == kNone || paces_[index].take(now_tsc, kRates[index]);
  }

 private:
  std::array<Pace, kRates.size()> paces_;
};

}  // namespace teal
