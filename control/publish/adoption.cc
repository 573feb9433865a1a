// SPDX-License-Identifier: Apache-2.0
#include "control/publish/adoption.h"

#include <algorithm>
#include <chrono>

namespace teal {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// A spinning worker adopts within microseconds; a sleeping one counts as adopted. What takes longer has lost
// its core for a while.
constexpr auto kSpin = 50us;
constexpr auto kFirstPause = 50us;
constexpr auto kLongestPause = 1ms;
constexpr auto kPatience = 2s;
constexpr auto kLivenessEvery = 10ms;

}  // namespace

Task<Watch> watch_adoption(const Publisher& publisher) {
  const Clock::time_point begin = Clock::now();
  Watch watch;
  watch.dataplane_running = publisher.dataplane_running();
  do {
    watch.adoption = publisher.adoption(watch.dataplane_running);
  } while (!watch.adoption.complete() && Clock::now() < begin + kSpin);

  Clock::time_point looked = begin;
  Clock::duration pause = kFirstPause;
  while (!watch.adoption.complete() && Clock::now() < begin + kPatience) {
    co_await sleep_for(pause);
    pause = std::min<Clock::duration>(2 * pause, kLongestPause);
    if (Clock::now() >= looked + kLivenessEvery) {
      looked = Clock::now();
      watch.dataplane_running = publisher.dataplane_running();
    }
    watch.adoption = publisher.adoption(watch.dataplane_running);
  }
  co_return watch;
}

Task<bool> with_a_free_slot(std::function<bool()> attempt) {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (!attempt()) {
    if (Clock::now() >= deadline) co_return false;
    co_await sleep_for(kLongestPause);
  }
  co_return true;
}

}  // namespace teal
