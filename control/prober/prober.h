// SPDX-License-Identifier: Apache-2.0
//
// All checks of teal-health: a probe for each backend of teald's list. And the hooks that teald orders.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>

#include "control/loop/clock.h"
#include "control/loop/semaphore.h"
#include "control/prober/hook_run.h"
#include "control/prober/probe.h"
#include "control/prober/teald_link.h"

#include <boost/asio/io_context.hpp>

namespace teal {

class Prober {
 public:
  static constexpr std::chrono::seconds kAliveEvery{1};

  Prober(asio::io_context& io, const std::string& run_dir, const Clock& clock);

  void start();
  // Called each second: the event loop runs.
  void on_alive(std::function<void()> callback) { alive_ = std::move(callback); }

  // Makes the probes as the list says. A probe of the same check goes on, with what it knows; each one
  // reports what it knows.
  void follow(CheckList list);
  // Does nothing if the order is about another list.
  void check_now(const CheckNow& order);
  // Runs the command, and tells teald of its end.
  void run(HookOrder order);
  size_t probes() const { return probes_.size(); }

  // To be called before the io_context is destroyed.
  void abandon() {
    places_.abandon();
    hook_places_.abandon();
  }

 private:
  Task<void> stay_alive();
  Task<void> run_to_end(HookOrder order);

  asio::io_context& io_;
  const Clock& clock_;
  std::mt19937 random_{std::random_device()()};
  Semaphore places_{kMaxCommands};
  Semaphore hook_places_{kMaxRunningHooks};
  std::map<uint16_t, std::shared_ptr<Probe>> probes_;  // by backend
  uint64_t revision_ = 0;                              // of the list
  TealdLink link_;
  Probe::Means means_;
  std::function<void()> alive_ = [] {};
};

}  // namespace teal
