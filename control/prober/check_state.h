// SPDX-License-Identifier: Apache-2.0
//
// Decides from the results of a backend's checks whether it is up. Pure: the caller gives the time.
//
//   unknown -> up     the first check passes
//   unknown -> down   `fall` checks in a row fail
//   up      -> down   `fall` checks in a row fail
//   down    -> up     `rise` checks in a row pass, and the hold is over
//
// A backend that flaps is held down, longer each time. The law (DPVS doubles a hold in the same way, and
// Envoy forgives by time):
//
//   falls      grows by 1 at each "-> down". For each kForgiveAfter that the backend was up without a break,
//              one former fall is forgiven.
//   hold       counts from the fall: none for the first fall, then 5, 10, 20, 40 ... s, at most 5 min.
//
// So a backend that is restarted once comes back after `rise` checks, and one that flaps for ever goes down
// at most about 20 times in its first hour, and 12 times an hour later.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace teal {

class CheckState {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = Time::duration;
  static constexpr std::chrono::seconds kFirstHold{5}, kLongestHold{300};
  static constexpr std::chrono::seconds kForgiveAfter{120};

  // `known` is the state before the first check, which may come from another life of the prober.
  CheckState(uint32_t rise, uint32_t fall, std::optional<bool> known, Time now)
      : rise_(rise), fall_(fall), up_(known), since_(now), hold_ends_(now) {}

  // Takes the result of a check. Returns true if the backend went up or down by it.
  bool take(bool passed, Time now) {
    streak_ = passed == streak_passes_ ? std::min(streak_, UINT32_MAX - 1) + 1 : 1;
    streak_passes_ = passed;
    if (passed ? !may_rise(now) : !may_fall()) return false;
    if (!passed) fall(now);
    up_ = passed;
    since_ = now;
    return true;
  }

  const std::optional<bool>& up() const { return up_; }
  // Returns whether only the hold keeps the backend down.
  bool is_held(Time now) const {
    return up_ == false && streak_passes_ && streak_ >= rise_ && now < hold_ends_;
  }
  uint32_t falls() const { return falls_; }
  Duration hold() const { return hold_of(falls_); }  // of the latest fall

  static Duration hold_of(uint32_t falls) {
    if (falls < 2) return Duration(0);
    const uint32_t doublings = std::min<uint32_t>(falls - 2, 16);
    return std::min<Duration>(kFirstHold * (1u << doublings), kLongestHold);
  }

 private:
  bool may_rise(Time now) const {
    if (!up_) return true;
    return !*up_ && streak_ >= rise_ && now >= hold_ends_;
  }
  bool may_fall() const { return up_ != false && streak_ >= fall_; }

  void fall(Time now) {
    if (up_ == true) {
      const auto forgiven = static_cast<uint64_t>((now - since_) / kForgiveAfter);
      falls_ -= static_cast<uint32_t>(std::min<uint64_t>(falls_, forgiven));
    }
    ++falls_;
    hold_ends_ = now + hold();
  }

  const uint32_t rise_, fall_;
  std::optional<bool> up_;
  Time since_;  // of up_
  Time hold_ends_;
  uint32_t falls_ = 0;
  uint32_t streak_ = 0;  // checks in a row with the same result
  bool streak_passes_ = false;
};

}  // namespace teal
