// SPDX-License-Identifier: Apache-2.0
#include "control/publish/adoption.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

namespace teal {

namespace {

using namespace std::chrono_literals;

// A polling worker adopts within microseconds, and a sleeping worker counts as adopted. A worker that takes
// longer has lost its core for a while.
constexpr auto kSpin = 50us;
constexpr auto kFirstPause = 50us;
constexpr auto kLongestPause = 1ms;
constexpr auto kPatience = 2s;
constexpr auto kLivenessEvery = 10ms;

}  // namespace

Task<Watch> watch_adoption(const Publisher& publisher, const Clock& clock) {
  const Clock::Time begin = clock.now();
  Watch watch;
  watch.dataplane_running = publisher.dataplane_running();
  do {
    watch.adoption = publisher.adoption(watch.dataplane_running);
  } while (!watch.adoption.complete() && clock.now() < begin + kSpin);

  Clock::Time looked = begin;
  std::chrono::steady_clock::duration pause = kFirstPause;
  while (!watch.adoption.complete() && clock.now() < begin + kPatience) {
    co_await clock.sleep(pause);
    pause = std::min<std::chrono::steady_clock::duration>(2 * pause, kLongestPause);
    if (clock.now() >= looked + kLivenessEvery) {
      looked = clock.now();
      watch.dataplane_running = publisher.dataplane_running();
    }
    watch.adoption = publisher.adoption(watch.dataplane_running);
  }
  co_return watch;
}

Task<bool> with_a_free_slot(std::function<bool()> attempt, const Clock& clock) {
  const Clock::Time deadline = clock.now() + kPatience;
  while (!attempt()) {
    if (clock.now() >= deadline) co_return false;
    co_await clock.sleep(kLongestPause);
  }
  co_return true;
}

std::string adoption_text(const Adoption& adoption) {
  const bool is_long = adoption.slowest_us >= 1000;
  return fmt::format("{} of {} workers adopted it, {} of them asleep, slowest {:.1f}{}", adoption.adopted,
                     adoption.live, adoption.asleep,
                     is_long ? adoption.slowest_us / 1000 : adoption.slowest_us, is_long ? "ms" : "us");
}

}  // namespace teal
