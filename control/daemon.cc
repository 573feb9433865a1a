// SPDX-License-Identifier: Apache-2.0
#include "control/daemon_parts.h"

#include <cstdlib>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>

#include "control/kernel/last_hops.h"
#include "control/kernel/next_hops.h"
#include "control/metrics/ports.h"

namespace teal {

namespace {

using namespace std::chrono_literals;

constexpr auto kFollowEvery = 100ms;
constexpr auto kTidyEvery = 1s;
constexpr auto kRefreshEvery = 5s;
constexpr auto kFollowHopsEvery = 250ms;
constexpr auto kLastNames = 1s;      // for names of users
constexpr auto kLastAnswers = 20ms;  // for the answers to the last requests
constexpr auto kForgetEvery = 24h;
// How long the segment of a running dataplane may have another ABI before teald ends: an upgrade replaces one
// process after the other.
constexpr auto kRefusedFor = 10s;

}  // namespace

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

ExitCode Daemon::run() {
  Parts& parts = *parts_;
  parts.on_signal();
  parts.spawn(parts.begin());
  parts.io.run();
  const bool disk_hangs =
      parts.recorder.hangs_since() || parts.operators.history.hangs() || parts.readers.history.hangs();
  if (disk_hangs || parts.users.is_looking_up()) {
    spdlog::critical("ending without the {}: it does not answer", disk_hangs ? "disk" : "name service");
    std::_Exit(parts.exit_code);  // a thread that waits for either cannot be joined
  }
  return parts.exit_code;
}

void Daemon::stop() {
  asio::post(parts_->io, [parts = parts_.get()] { parts->spawn(parts->end(kExitStopped)); });
}

void Daemon::Parts::on_signal() {
  signals.async_wait([this](const boost::system::error_code& cancelled, int signal) {
    if (cancelled) return;
    on_signal();
    if (signal == SIGHUP) return spawn(reload());
    spdlog::info("stopping on signal {}", signal);
    spawn(end(kExitStopped));
  });
}

void Daemon::Parts::spawn(Task<void> task) {
  asio::co_spawn(io, std::move(task), [this](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      spdlog::critical("stopping after an error: {}", error.what());
    }
    exit_code = kExitError;
    io.stop();
  });
}

Task<void> Daemon::Parts::begin() {
  executor.on_hops_needed([this] {
    ask_for_hops();
    health_upkeep.has_news();  // a new segment has no words of health
  });
  if (options.open_kernel_routes) {
    auto opened = options.open_kernel_routes(io, clock, [this] {
      upkeep.set_local_addresses(routes->local_addresses());
      ask_for_hops();
    });
    if (!opened) {
      spdlog::critical("cannot read routes from the kernel: {}", opened.error());
      co_return co_await end(kExitError);
    }
    routes = std::move(*opened);
    upkeep.set_local_addresses(routes->local_addresses());
    verbs.look_for_hops_with([this](const IpAddress& address) {
      const std::shared_ptr<Segment> segment = publisher->segment();  // without one, nothing is known
      if (segment == nullptr || !publisher->dataplane_running()) return std::string();
      return problem_text(hop_state(segment->header(), routes->lookup(address), clock.now()));
    });
    spawn(resolve_next_hops());
    spawn(refresh_routes());
    spawn(follow_last_hops());
  }
  co_await executor.keep_copy();
  co_await record_what_is_missing();
  // The segment is complete before teald accepts the first request.
  (void)co_await upkeep.follow_segment();
  begin_health();
  begin_hooks();
  servers = std::make_unique<ApiServers>(io, options.run_dir, api);
  if (const auto open = servers->apply(executor.catalogue().config().api); !open) {
    spdlog::critical("{}", open.error());
    if (!servers->has_control()) co_return co_await end(kExitError);
  }
  executor.on_reload([this](const Config& config) {
    if (servers == nullptr) return;
    if (const auto applied = servers->apply(config.api); !applied)
      spdlog::error("[api] is not applied: {}", applied.error());
  });
  verbs.check_api_with([this](const Config& wanted) {
    return servers == nullptr ? ConfigErrors() : servers->problems(wanted);
  });
  spawn(watch_segment());
  spawn(watch_rollouts());
  spawn(judge_rollouts());
  spawn(tidy());
  spawn(forget_old_changes());
  spdlog::info("ready: {} services, generation {}, {}", executor.catalogue().services().size(),
               executor.generation(), publisher->attached() ? "the segment is attached" : "no segment yet");
  tell_service_manager();
  manager.ready();
  if (manager.alive_every()) spawn(stay_alive());
}

// Shows the watchdog that the event loop runs: a blocked loop does not get here.
Task<void> Daemon::Parts::stay_alive() {
  for (;;) {
    manager.alive();
    co_await clock.sleep(*manager.alive_every());
  }
}

// The name is not worth a wait before a change, so it is looked up and recorded afterwards.
Task<void> Daemon::Parts::name_actor(int64_t intent, uint32_t uid) {
  const std::string user = co_await users.look_up(uid);
  if (user.empty()) co_return;
  executor.name_lock(uid, user);
  (void)co_await recorder.name_actor(intent, user);
}

// The first line about a user waits for the name, and the answer does not.
Task<void> Daemon::Parts::log_with_name(int level, Intent intent, std::string result) {
  intent.actor.user = co_await users.soon(intent.actor.uid, clock);
  log_change(level, intent, result);
}

Task<void> Daemon::Parts::reload() {
  if (ending) co_return;
  manager.reloading();
  ChangeOptions how{.reason = "SIGHUP", .actor = Actor::teald()};  // a signal does not say who sent it
  const Verbs::Result result = co_await verbs.reload(std::move(how));
  if (result) {
    spdlog::info("reloaded: generation {}", result->generation);
    for (const std::string& warning : result->warnings) spdlog::warn("{}", warning);
    for (const std::string& line : verbs.restart_lines()) spdlog::warn("not in force: {}", line);
  } else {
    spdlog::error("the reload changed nothing: {}", result.error().message);
    for (const std::string& line : result.error().details) spdlog::error("{}", line);
  }
  manager.ready();
}

// "3 services: 1 blue, 2 green; generation 13; the dataplane runs"
void Daemon::Parts::tell_service_manager() {
  size_t green = 0;
  const Catalogue& catalogue = executor.catalogue();
  for (const CatalogueService& service : catalogue.services())
    if (catalogue.state(service).active == Colour::kGreen) ++green;
  manager.status(fmt::format("{} services: {} blue, {} green; generation {}; the dataplane {}",
                             catalogue.services().size(), catalogue.services().size() - green, green,
                             executor.generation(), publisher->dataplane_running() ? "runs" : "is down"));
}

Task<void> Daemon::Parts::watch_segment() {
  std::string refused;
  auto refused_since = clock.now();
  bool was_running = false;
  for (;;) {
    co_await clock.sleep(kFollowEvery);
    const tl::expected<void, std::string> followed = co_await upkeep.follow_segment();
    co_await recover_with_database();
    const bool running = publisher->dataplane_running();
    if (running != was_running) {
      spdlog::info("the dataplane {}", running ? "runs" : "has ended; its segment stays");
      events.tell(running ? "dataplane_up" : "dataplane_down");
      if (running && publisher->is_dataplane_hidden())
        spdlog::warn(
            "/proc hides the dataplane (pid {}) from teald: if it is killed, it counts as running until the "
            "kernel has freed its memory; give teald.service ProtectProc=default, and mount /proc without "
            "hidepid=",
            publisher->dataplane_pid());
    }
    was_running = running;
    if (followed) {
      refused.clear();
      continue;
    }
    if (refused != followed.error()) {
      spdlog::warn("the segment is refused: {}", followed.error());
      refused = followed.error();
      refused_since = clock.now();
    }
    if (!running) refused_since = clock.now();  // the next dataplane sets the file aside
    if (clock.now() < refused_since + kRefusedFor) continue;
    spdlog::critical("the running dataplane's segment is refused: {}", followed.error());
    co_return co_await end(kExitSegmentRefused);
  }
}

// Apart from watch_segment(), which may wait for the turns of other changes.
Task<void> Daemon::Parts::watch_rollouts() {
  for (;;) {
    co_await clock.sleep(kFollowEvery);
    upkeep.look_at_rollouts();
    look_at_backends();
  }
}

Task<void> Daemon::Parts::judge_rollouts() {
  for (;;) {
    co_await clock.sleep(kFollowEvery);
    co_await upkeep.judge();
  }
}

// Upkeep has no turn for this: it changes nothing that is in force.
Task<void> Daemon::Parts::forget_old_changes() {
  for (;;) {
    (void)co_await recorder.forget_old(clock.wall_ms());
    co_await clock.sleep(kForgetEvery);
  }
}

Task<void> Daemon::Parts::tidy() {
  for (;;) {
    co_await clock.sleep(kTidyEvery);
    co_await upkeep.tidy();
    busy.sample(*publisher);
    losses.sample(*publisher, clock.now());
    steering_losses.sample(steer_counters(*publisher, steering), clock.now());
    if (const uint64_t lost = steering_losses.news(clock.now()); lost != 0)
      spdlog::warn("the steering program dropped {} packet{}, as no dataplane had a socket on their queues",
                   lost, lost == 1 ? "" : "s");
    refusals.end_windows();
    tell_service_manager();
  }
}

void Daemon::Parts::ask_for_hops() {
  hops_are_wanted = true;
  hops_wanted.cancel();
}

Task<void> Daemon::Parts::resolve_next_hops() {
  NextHops next_hops(*publisher, *routes, hop_states, clock,
                     [this](const std::vector<std::string>& addresses, bool resolved) {
                       nlohmann::ordered_json told = {{"next_hop", resolved ? "resolved" : "unresolved"}};
                       told.update(counted_list("backends", addresses));
                       events.tell("backends", std::move(told));
                     });
  for (;;) {
    if (!hops_are_wanted) {
      hops_wanted.expires_at(asio::steady_timer::time_point::max());
      boost::system::error_code cancelled;
      co_await hops_wanted.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    }
    hops_are_wanted = false;
    co_await next_hops.pass(executor.catalogue().inventory().backends);
  }
}

Task<void> Daemon::Parts::refresh_routes() {
  for (;;) {
    co_await clock.sleep(kRefreshEvery);
    routes->refresh();
  }
}

Task<void> Daemon::Parts::follow_last_hops() {
  LastHopFollower last_hops(*publisher, *routes);
  for (;;) {
    co_await clock.sleep(kFollowHopsEvery);
    last_hops.follow();
  }
}

// Lets the change under way finish, and begins no other.
Task<void> Daemon::Parts::end(ExitCode code) {
  if (ending) co_return;
  ending = true;
  exit_code = code;
  manager.stopping();
  servers.reset();
  health_link.reset();
  health_listener.reset();
  co_await executor.finish();
  if (journal.unrecorded().empty()) (void)co_await recorder.release_reserve();
  co_await clock.sleep(kLastAnswers);
  const Clock real;  // the name service follows no other clock
  const Clock::Time patience = real.now() + kLastNames;
  while (users.is_looking_up() && real.now() < patience) co_await real.sleep(kLastAnswers);
  io.stop();
}

}  // namespace teal
