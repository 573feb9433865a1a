// SPDX-License-Identifier: Apache-2.0
//
// Tells whether new flows come much faster than before, as in a SYN flood. Signals that a stranger can
// cause with forged addresses do not count meanwhile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace teal {

class FloodGuard {
 public:
  static constexpr double kTimesOldRate = 3;
  static constexpr double kMargin = 3;  // flows
  static constexpr uint64_t kSliceNs = 100'000'000;
  static constexpr size_t kShortSlices = 10, kLongSlices = 100;  // 1 s and 10 s
  // The outcome of a flow of the flood is known after it: 1 s, and up to a round of the sweep.
  static constexpr uint64_t kHoldNs = 3'000'000'000;

  // `old_rate`: new flows a second before the flip.
  FloodGuard(double old_rate, uint64_t now_ns);

  // Adds flows that began since the last call. Returns true during a flood, and for kHoldNs after it. A flood
  // is a second, or ten, with more flows than 3 times the old rate gives, and 3 more. With this margin, a few
  // flows of a quiet service are not a flood. `now_ns` must not go back.
  bool is_flood(uint64_t flows, uint64_t now_ns);

 private:
  double most_in_second_;
  double most_in_all_;
  uint64_t start_ns_;
  uint64_t slice_ = 0;  // since the start
  std::array<uint32_t, kLongSlices> flows_{};
  uint64_t held_until_ns_ = 0;
};

}  // namespace teal
