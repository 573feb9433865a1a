// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_upkeep.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "control/health/health_file.h"
#include "control/loop/wall_clock.h"

namespace teal {

namespace {

constexpr size_t kLoggedTurns = 16;

std::string shown_reason(const HealthBoard::Turn& turn) {
  return turn.reason.empty() ? "" : ": " + turn.reason;
}

}  // namespace

Task<void> HealthUpkeep::run(Means means) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    is_due_ = false;
    act(means);
    // A disk that hangs holds up the file alone.
    if (!is_keeping_) asio::co_spawn(timer.get_executor(), keep(), asio::detached);
    // A pause, in which more news may gather.
    co_await clock_.sleep(kEvery);
    if (is_due_ || words_.is_ramping) continue;
    // Nothing becomes old where nothing is checked.
    const bool looks = board_.checked() != 0 || was_fresh_;
    const Clock::Time until = looks ? clock_.now() + kLookEvery : Clock::Time::max();
    wake_ = &timer;
    co_await clock_.wait(timer, until);
    wake_ = nullptr;
  }
}

void HealthUpkeep::act(const Means& means) {
  const Catalogue& catalogue = means.catalogue();
  if (std::exchange(catalogue_is_due_, false) && board_.follow(catalogue)) means.send_list();
  tell_prober();
  tell_turns();
  tell_ejections();
  HealthWords next = health_words(catalogue, board_, clock_.now());
  tell_modes(catalogue, next);
  words_ = std::move(next);
  means.publish(words_);
}

// One event tells of all turns whose `state` is `first`, another one of all the others.
template <typename Turn>
static void tell_both(Events& events, const char* type, const char* field, const std::vector<Turn>& turns,
                      bool Turn::*state, bool first) {
  for (const bool value : {first, !first}) {
    std::vector<std::string> addresses;
    std::string reason;
    for (const Turn& turn : turns) {
      if (turn.*state != value) continue;
      if (addresses.empty()) reason = turn.reason;
      addresses.push_back(turn.address);
    }
    if (addresses.empty()) continue;
    nlohmann::ordered_json told = {{field, value}};
    told.update(counted_list("backends", addresses));
    if (!reason.empty()) told["reason"] = reason;
    events.tell(type, std::move(told));
  }
}

// One event tells of all backends that went up, another one of all that went down.
void HealthUpkeep::tell_turns() {
  const std::vector<HealthBoard::Turn> turns = board_.take_turns();
  size_t logged = 0;
  for (const HealthBoard::Turn& turn : turns) {
    if (++logged > kLoggedTurns) break;
    spdlog::warn("{} of {} is {}{}", turn.address, turn.service, turn.up ? "up" : "down", shown_reason(turn));
  }
  if (turns.size() > kLoggedTurns)
    spdlog::warn("{} more backends went up or down", turns.size() - kLoggedTurns);
  tell_both(events_, "health", "up", turns, &HealthBoard::Turn::up, false);
}

// One event tells of all backends that were ejected, another one of all that came back.
void HealthUpkeep::tell_ejections() {
  const std::vector<Ejector::Turn> turns = board_.ejector().take_turns();
  size_t logged = 0;
  for (const Ejector::Turn& turn : turns) {
    if (++logged > kLoggedTurns) break;
    if (turn.ejected)
      spdlog::warn("{} of {} is ejected until {}: {}", turn.address, turn.service, rfc3339(turn.until_ms),
                   turn.reason);
    else
      spdlog::warn("{} of {} is ejected no longer", turn.address, turn.service);
  }
  tell_both(events_, "ejection", "ejected", turns, &Ejector::Turn::ejected, true);
}

void HealthUpkeep::tell_modes(const Catalogue& catalogue, const HealthWords& next) {
  std::map<PoolMode, std::vector<std::string>> changed;
  for (const CatalogueService& service : catalogue.services()) {
    for (size_t colour = 0; colour < kColours; ++colour) {
      const PoolMode now = next.modes[service.id][colour];
      if (now == words_.modes[service.id][colour]) continue;
      changed[now].push_back(service.config->name + "/" + kColourNames[colour]);
    }
  }
  for (const auto& [mode, pools] : changed) {
    const char* name = kPoolModeNames[static_cast<size_t>(mode)];
    if (mode == PoolMode::kNormal)
      spdlog::info("enough backends are up again: {}", fmt::join(pools, ", "));
    else if (mode == PoolMode::kAllServe)
      spdlog::critical("too few backends are up, so all of them serve: {}", fmt::join(pools, ", "));
    else
      spdlog::critical("no backend is up, so new flows are rejected: {}", fmt::join(pools, ", "));
    nlohmann::ordered_json told = {{"mode", name}};
    told.update(counted_list("pools", pools));
    events_.tell("pools", std::move(told));
  }
}

void HealthUpkeep::tell_prober() {
  const bool is_fresh = board_.is_fresh();
  if (is_fresh == was_fresh_) return;
  was_fresh_ = is_fresh;
  if (!is_fresh && board_.is_connected())
    spdlog::warn("teal-health has said nothing for 3 s; the last known health stays");
  events_.tell(is_fresh ? "prober_up" : "prober_down");
}

bool HealthUpkeep::file_is_out_of_date() const {
  const int64_t behind_ms = board_.heard_ms() - kept_heard_ms_;
  return board_.version() != kept_version_ || (behind_ms != 0 && !board_.is_fresh()) ||
         std::chrono::milliseconds(std::abs(behind_ms)) >= kKeepEvery;
}

// On a thread of its own: the run directory is in memory, but memory may be short.
Task<void> HealthUpkeep::keep() {
  if (!file_is_out_of_date()) co_return;
  is_keeping_ = true;
  kept_version_ = board_.version();
  kept_heard_ms_ = board_.heard_ms();
  const std::string text = health_text(board_.memory());
  const auto work = [this, text] { return write_health_file(run_dir_, text); };
  const tl::expected<void, std::string> written = co_await run_on(disk_, work);
  std::string problem = written ? "" : written.error();
  if (!problem.empty() && problem != file_problem_)
    spdlog::warn("cannot keep the health of backends: {}", problem);
  if (!problem.empty()) kept_version_.reset();  // the next look tries again
  file_problem_ = std::move(problem);
  is_keeping_ = false;
}

}  // namespace teal
