// SPDX-License-Identifier: Apache-2.0
#include "control/prober/check_state.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

namespace teal {
namespace {

using namespace std::chrono_literals;
using Time = CheckState::Time;

// Each letter is a check, a second after the one before: + passes, - fails. The result has a letter for each
// state after a check: u up, d down, ? unknown.
std::string states_after(const std::string& checks, std::optional<bool> known, uint32_t rise = 2,
                         uint32_t fall = 3) {
  Time now{};
  CheckState state(rise, fall, known, now);
  std::string states;
  for (const char check : checks) {
    const std::optional<bool> before = state.up();
    const bool turned = state.take(check == '+', now += 1s);
    EXPECT_EQ(turned, state.up() != before) << "take() tells of each turn";
    states += !state.up() ? '?' : *state.up() ? 'u' : 'd';
  }
  return states;
}

TEST(CheckState, FollowsItsTable) {
  const std::optional<bool> unknown, up = true, down = false;
  // The first check that passes is enough for a backend that was never checked; one that fails is not.
  EXPECT_EQ(states_after("+", unknown), "u");
  EXPECT_EQ(states_after("---", unknown), "??d");
  EXPECT_EQ(states_after("--+", unknown), "??u");
  // Three failures in a row, and nothing less, take a backend out.
  EXPECT_EQ(states_after("---", up), "uud");
  EXPECT_EQ(states_after("--+--+---", up), "uuuuuuuud");
  // Two passes in a row bring it back, and nothing less.
  EXPECT_EQ(states_after("++", down), "du");
  EXPECT_EQ(states_after("+-+-++", down), "dddddu");
  EXPECT_EQ(states_after("---++", up), "uuddu") << "the first fall has no hold";
  EXPECT_EQ(states_after("-+", up, 1, 1), "du");
}

TEST(CheckState, TheSecondFallIsHeldForFiveSeconds) {
  // It falls at 3 s and at 8 s, so the hold ends at 13 s.
  EXPECT_EQ(states_after("---++---++++++", true), "uudduuuddddduu") << "up at the first check after the hold";
}

TEST(CheckState, TheHoldDoublesUpToFiveMinutes) {
  const std::chrono::seconds holds[] = {0s, 0s, 5s, 10s, 20s, 40s, 80s, 160s, 300s, 300s};
  for (uint32_t falls = 0; falls < std::size(holds); ++falls)
    EXPECT_EQ(CheckState::hold_of(falls), holds[falls]) << falls;
  EXPECT_EQ(CheckState::hold_of(UINT32_MAX), 300s);
}

TEST(CheckState, TimeWithoutABreakForgivesFalls) {
  Time now{};
  CheckState state(1, 1, true, now);
  for (int i = 0; i < 4; ++i) {
    state.take(false, now += 1s);
    now += state.hold();
    state.take(true, now);
  }
  ASSERT_EQ(state.falls(), 4u);
  now += 2 * CheckState::kForgiveAfter + 1s;
  state.take(true, now);
  state.take(false, now);
  EXPECT_EQ(state.falls(), 3u) << "two forgiven, one added";
  now += 1h;
  state.take(true, now);
  now += 1h;
  state.take(false, now);
  EXPECT_EQ(state.falls(), 1u);
  EXPECT_EQ(state.hold(), 0s);
}

TEST(CheckState, SaysWhenOnlyTheHoldKeepsABackendDown) {
  Time now{};
  CheckState state(2, 1, true, now);
  state.take(false, now += 1s);
  state.take(true, now += 1s);
  EXPECT_FALSE(state.is_held(now)) << "one more pass is missing";
  state.take(true, now += 1s);
  state.take(false, now += 1s);
  state.take(true, now += 1s);
  state.take(true, now += 1s);
  EXPECT_EQ(state.up(), false);
  EXPECT_TRUE(state.is_held(now));
  state.take(true, now += 5s);
  EXPECT_EQ(state.up(), true);
}

// The law in its plainest form: looks at the whole history of results at each check.
class PlainState {
 public:
  PlainState(uint32_t rise, uint32_t fall, std::optional<bool> known)
      : rise_(rise), fall_(fall), up_(known) {}

  void take(bool passed, Time now) {
    results_.push_front(passed);
    const auto last = [&](uint32_t count, bool wanted) {
      if (results_.size() < count) return false;
      for (uint32_t i = 0; i < count; ++i)
        if (results_[i] != wanted) return false;
      return true;
    };
    if (!up_ && passed) {
      up_ = true;
      since_ = now;
    } else if (up_ != false && last(fall_, false)) {
      for (Time year = since_ + CheckState::kForgiveAfter; up_ == true && year <= now && falls_ > 0;
           year += CheckState::kForgiveAfter)
        --falls_;
      ++falls_;
      CheckState::Duration hold = falls_ < 2 ? 0s : 5s;
      for (uint32_t i = 2; i < falls_; ++i) hold = std::min<CheckState::Duration>(2 * hold, 300s);
      hold_ends_ = now + hold;
      up_ = false;
      since_ = now;
    } else if (up_ == false && last(rise_, true) && now >= hold_ends_) {
      up_ = true;
      since_ = now;
    }
  }
  const std::optional<bool>& up() const { return up_; }
  uint32_t falls() const { return falls_; }

 private:
  const uint32_t rise_, fall_;
  std::optional<bool> up_;
  std::deque<bool> results_;
  Time since_{}, hold_ends_{};
  uint32_t falls_ = 0;
};

TEST(CheckState, IsLikeItsPlainTwinInRandomSequences) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto upto = [&](uint32_t most) { return std::uniform_int_distribution<uint32_t>(0, most)(random); };
    const uint32_t rise = 1 + upto(3), fall = 1 + upto(3);
    const uint32_t start = upto(2);
    const std::optional<bool> known = start == 0 ? std::nullopt : std::optional(start == 1);
    Time now{};
    CheckState state(rise, fall, known, now);
    PlainState plain(rise, fall, known);
    const uint32_t pass_percent = 20 + upto(75);
    for (int check = 0; check < 400; ++check) {
      now += std::chrono::milliseconds(upto(20) == 0 ? upto(400'000) : 900 + upto(200));
      const bool passed = upto(99) < pass_percent;
      state.take(passed, now);
      plain.take(passed, now);
      ASSERT_EQ(state.up(), plain.up()) << "seed " << seed << ", check " << check;
      ASSERT_EQ(state.falls(), plain.falls()) << "seed " << seed << ", check " << check;
    }
  }
}

// The worst flapping: each check fails while the backend is up, and passes while it is down.
TEST(CheckState, ABackendThatFlapsForEverGoesDownAtMost20TimesInAnHour) {
  Time now{};
  CheckState state(1, 1, true, now);
  int first_hour = 0, second_hour = 0;
  for (int check = 0; check < 7200; ++check) {
    const bool was_up = state.up() == true;
    if (!state.take(!was_up, now += 1s) || !was_up) continue;
    ++(check < 3600 ? first_hour : second_hour);
  }
  EXPECT_LE(first_hour, 20);
  EXPECT_GE(first_hour, 10) << "it still gets its chances";
  EXPECT_LE(second_hour, 12);
  EXPECT_GE(second_hour, 11);
}

}  // namespace
}  // namespace teal
