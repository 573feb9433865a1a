// SPDX-License-Identifier: Apache-2.0
//
// Where a worker's cycles go, stage by stage. For those who tune it: compiled in by -Dstage_timers=true, and
// told when the worker stops. Without that nothing is left of it. A look at the TSC costs about 20 cycles a
// stage and burst.
#pragma once

#include <array>
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
  // What has passed since the last call was this stage's.
  void done(Stage stage) {
    const uint64_t now = rte_rdtsc();
    if (counts_ && now - before_ < kCoreWasTaken) cycles_[static_cast<size_t>(stage)] += now - before_;
    before_ = now;
  }
  // Of an iteration without packets nothing is counted.
  void begin() { counts_ = false, before_ = rte_rdtsc(); }
  void received(uint32_t packets) { counts_ = packets != 0, packets_ += packets; }
  void tell(uint32_t worker) const;
#else
  void done(Stage) {}
  void begin() {}
  void received(uint32_t) {}
  void tell(uint32_t) const {}
#endif

 private:
#ifdef TEAL_STAGE_TIMERS
  static constexpr uint64_t kCoreWasTaken = 200'000;  // no stage takes so long for a burst
  std::array<uint64_t, static_cast<size_t>(Stage::kCount)> cycles_{};
  uint64_t before_ = 0, packets_ = 0;
  bool counts_ = false;
#endif
};

}  // namespace teal
