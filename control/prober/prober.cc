// SPDX-License-Identifier: Apache-2.0
#include "control/prober/prober.h"

#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>

#include "control/prober/command.h"

namespace teal {

namespace {

// A loop that has failed leaves a process that does half of its work. A new one is better.
void end_if_thrown(const std::exception_ptr& thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    spdlog::critical("stopping after an error: {}", error.what());
    std::_Exit(1);
  }
}

}  // namespace

Task<CheckResult> make_check(const CheckOrder& order, Semaphore& places) {
  switch (order.check.kind) {
    case CheckKind::kTcp:
      break;
    case CheckKind::kHttp:
      return check_http(order);
    case CheckKind::kUdp:
      return check_udp(order);
    case CheckKind::kCommand:
      return check_command(order, places);
  }
  return check_tcp(order);
}

Prober::Prober(asio::io_context& io, const std::string& run_dir, const Clock& clock)
    : io_(io),
      clock_(clock),
      link_(
          io, run_dir + "/health.sock", clock, [this](CheckList list) { follow(std::move(list)); },
          [this](const CheckNow& order) { check_now(order); },
          [this](HookOrder order) { run(std::move(order)); }),
      means_{.clock = clock,
             .check = [this](const CheckOrder& order) { return make_check(order, places_); },
             .report = [this](const HealthReport& report) { link_.send(line_of(report)); },
             .random = [this] { return std::uniform_real_distribution<double>()(random_); }} {}

void Prober::start() {
  asio::co_spawn(io_, link_.run(), end_if_thrown);
  asio::co_spawn(io_, link_.write(), end_if_thrown);
  asio::co_spawn(io_, stay_alive(), end_if_thrown);
}

void Prober::follow(CheckList list) {
  std::map<uint16_t, std::shared_ptr<Probe>> next;
  for (CheckOrder& order : list.checks) {
    const auto known = probes_.find(order.backend);
    if (known != probes_.end() && known->second->order().is_like(order)) {
      known->second->report_as(list.revision);
      next.emplace(order.backend, std::move(known->second));
      probes_.erase(known);
      continue;
    }
    const uint16_t backend = order.backend;
    auto probe = std::make_shared<Probe>(std::move(order), means_, io_.get_executor());
    probe->report_as(list.revision);
    probe->start();
    next.emplace(backend, std::move(probe));
  }
  for (const auto& [backend, probe] : probes_) probe->stop();
  probes_ = std::move(next);
  revision_ = list.revision;
}

void Prober::check_now(const CheckNow& order) {
  link_.send(line_of(ProberAlive()));
  if (order.revision != revision_) return;
  for (const uint16_t backend : order.backends)
    if (const auto known = probes_.find(backend); known != probes_.end()) known->second->hurry();
}

void Prober::run(HookOrder order) {
  spdlog::info("runs the hook {}: {}", name_of(order.hook), order.run.command.front());
  asio::co_spawn(io_, run_to_end(std::move(order)), end_if_thrown);
}

Task<void> Prober::run_to_end(HookOrder order) {
  const HookDone done = co_await run_hook(order, hook_places_, clock_);
  link_.send(line_of(done));
}

Task<void> Prober::stay_alive() {
  for (;;) {
    link_.send(line_of(ProberAlive()));
    alive_();
    Command::end_orphans();
    co_await clock_.sleep(kAliveEvery);
  }
}

}  // namespace teal
