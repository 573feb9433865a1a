// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "dataplane/pipeline/pace.h"
#include "dataplane/pipeline/verdict.h"

namespace teal {

// Bounds what a worker hands to the kernel by PuntClass. A TAP has one queue for all that a worker punts, so
// without a limit a flood about services would keep ARP, ND, BGP and SSH out. The workers share the limits.
class PuntLimits {
 public:
  static constexpr uint32_t kNone = 0;
  // A second. As many as a router answers by ICMP, and as many as the kernel forwards beside other work.
  static constexpr std::array<uint32_t, static_cast<size_t>(PuntClass::kCount)> kRates = {1'000, 100'000,
                                                                                          kNone};

  PuntLimits(uint64_t tsc_hz, uint32_t workers) : paces_{Pace(tsc_hz, workers), Pace(tsc_hz, workers)} {}

  // Whether one more packet of this class may pass.
  bool take(PuntClass what, uint64_t now_tsc) {
    const auto index = static_cast<size_t>(what);
    return kRates[index] == kNone || paces_[index].take(now_tsc, kRates[index]);
  }

 private:
  std::array<Pace, 2> paces_;  // of the classes with a limit
};

}  // namespace teal
