// SPDX-License-Identifier: Apache-2.0
//
// For tuning: the cycles that a worker spends in each stage, and the time that packets stay, from the return
// of the receive call to the return of the transmit call. A build with -Dstage_timers=true has the timers and
// logs them when a worker stops (scripts/bench stages). In other builds these functions are empty. A reading
// of the TSC costs about 20 cycles for each stage and burst.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include <rte_cycles.h>

namespace teal {

#define TEAL_STAGES(X) \
  X(receive) X(classify) X(hand_over) X(track) X(translate) X(dispatch) X(transmit) X(sweep) X(rest)

enum class Stage : uint8_t {
#define X(name) k_##name,
  TEAL_STAGES(X)
#undef X
      kCount
};

class StageTimers {
 public:
#ifdef TEAL_STAGE_TIMERS
  // Counts the time since the previous call as this stage's.
  void done(Stage stage) {
    const uint64_t now = rte_rdtsc();
    if (counts_ && now - before_ < kCoreWasTaken) cycles_[static_cast<size_t>(stage)] += now - before_;
    if (stage == Stage::k_transmit && burst_ != 0) {
      stays_[row_of(now - received_at_)] += burst_;
      burst_ = 0;
    }
    before_ = now;
  }
  // Call at the beginning of an iteration. Iterations without packets are not counted, and none are while the
  // sweep looks at every flow.
  void begin(bool sweep_looks_at_all) {
    ignores_ = sweep_looks_at_all;
    counts_ = false;
    before_ = rte_rdtsc();
  }
  void received(uint32_t packets) {
    counts_ = packets != 0 && !ignores_;
    burst_ = counts_ ? packets : 0;
    packets_ += burst_;
    received_at_ = rte_rdtsc();
  }
  void tell(uint32_t worker, uint64_t tsc_hz) const;
#else
  void done(Stage) {}
  void begin(bool) {}
  void received(uint32_t) {}
  void tell(uint32_t, uint64_t) const {}
#endif

 private:
#ifdef TEAL_STAGE_TIMERS
  static constexpr uint64_t kCoreWasTaken = 200'000;  // no stage takes so long for a burst

  // Eight rows for each power of 2: stays in the same row differ by 12 % at most.
  static constexpr uint32_t kRowBits = 3;
  static uint32_t row_of(uint64_t cycles) {
    const uint32_t shift = static_cast<uint32_t>(std::bit_width(cycles | (1u << kRowBits))) - 1 - kRowBits;
    return (shift << kRowBits) + static_cast<uint32_t>(cycles >> shift);
  }
  static uint64_t end_of(uint32_t row) {  // the first number of cycles past the row
    if (row < 2u << kRowBits) return row + 1;
    const uint32_t shift = (row >> kRowBits) - 1;
    return uint64_t{(row & ((1u << kRowBits) - 1)) + (1u << kRowBits) + 1} << shift;
  }
  double stay_us(double share, uint64_t tsc_hz) const;

  std::array<uint64_t, static_cast<size_t>(Stage::kCount)> cycles_{};
  std::array<uint64_t, 64 << kRowBits> stays_{};  // packets
  uint64_t before_ = 0, packets_ = 0, received_at_ = 0;
  uint32_t burst_ = 0;
  bool counts_ = false, ignores_ = false;
#endif
};

}  // namespace teal
