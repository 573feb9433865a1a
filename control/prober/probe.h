// SPDX-License-Identifier: Apache-2.0
//
// Checks one backend again and again, and reports its state.
//
// A check begins one interval after the one before it began, or when that has ended, whichever is later. Each
// interval is up to kJitter longer or shorter, and the first check comes at a random moment of the first
// interval: so the checks of many backends spread evenly, and do not march in step.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <string>

#include "control/health/health_messages.h"
#include "control/loop/clock.h"
#include "control/prober/check_state.h"
#include "control/prober/checks.h"

namespace teal {

class Probe : public std::enable_shared_from_this<Probe> {
 public:
  static constexpr double kJitter = 0.05;  // of the interval
  // Checks begin at multiples of this time, so that one wake-up begins several of them.
  static constexpr std::chrono::milliseconds kTogether{5};
  static constexpr std::chrono::seconds kWarnEvery{10};
  // A reason that changes again within this time is reported by a later check.
  static constexpr std::chrono::seconds kTellEvery{1};

  // What all probes share. It outlives them and their coroutines.
  struct Means {
    const Clock& clock;
    std::function<Task<CheckResult>(const CheckOrder&)> check;
    std::function<void(const HealthReport&)> report;
    std::function<double()> random;  // from 0 to 1
    Clock::Time warn_next = {};      // of checks that were not made
    uint64_t unlogged = 0;           // such checks since the latest warning
  };

  Probe(CheckOrder order, Means& means, asio::any_io_executor executor);

  void start();
  // Ends after the check that is under way, whose result is not reported.
  void stop();

  const CheckOrder& order() const { return order_; }
  const CheckState& state() const { return state_; }
  // Makes a check now, or as soon as the one under way has ended, and reports it in any case.
  void hurry();

  // Reports the state again, with this revision from now on. Nothing is reported while nothing is known.
  void report_as(uint64_t revision);

 private:
  static Task<void> run(std::shared_ptr<Probe> self);
  void take(const CheckResult& result);
  void tell(bool at_once);
  void warn(const std::string& reason) const;

  const CheckOrder order_;
  Means& means_;
  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  CheckState state_;
  bool is_stopped_ = false;
  bool is_checking_ = false, is_hurried_ = false;
  std::optional<bool> passed_;  // the latest check
  std::string reason_;
  int64_t turned_ms_ = 0;  // when the backend went up or down; 0: not by this probe
  HealthReport told_;
  bool was_told_ = false;
  Clock::Time told_at_{};
};

}  // namespace teal
