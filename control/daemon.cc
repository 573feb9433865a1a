// SPDX-License-Identifier: Apache-2.0
#include "control/daemon.h"

#include "control/loop/coroutine.h"

#include <csignal>
#include <filesystem>

#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "control/api/resources/router.h"
#include "control/api/resources/servers.h"
#include "control/change/executor.h"
#include "control/change/recovery.h"
#include "control/change/upkeep.h"
#include "control/change/verbs.h"
#include "control/kernel/next_hops.h"
#include "control/kernel/steering.h"
#include "control/metrics/busy.h"
#include "control/publish/publisher.h"
#include "control/service_manager.h"
#include "control/state/recorder.h"
#include "control/state/state.h"
#include "dataplane/shm/process_lock.h"

namespace teal {

namespace {

using namespace std::chrono_literals;

constexpr auto kFollowEvery = 100ms;
constexpr auto kTidyEvery = 1s;
constexpr auto kRefreshEvery = 5s;
constexpr auto kLastAnswers = 20ms;  // for the answers to the last requests
// How long the segment of a running dataplane may have another ABI before teald ends: an upgrade replaces one
// process after the other.
constexpr auto kRefusedFor = 10s;

std::string instance_of(const std::string& run_dir) {
  return (std::filesystem::path(run_dir) / "").parent_path().filename().string();
}

StartFailure failure(ExitCode code, std::string message) {
  return {code, {std::move(message)}};
}

}  // namespace

// The order of the members is the reverse order of their destruction. The destructor first ends the disk's
// thread, which posts to `io`. It then calls abandon() on the objects that coroutines in `io` refer to, as
// `io` destroys these coroutines before the objects themselves end.
struct Daemon::Parts {
  Parts(DaemonOptions given, Config config, Inventory inventory, ProcessLock held, State opened,
        std::unique_ptr<Publisher> found)
      : options(std::move(given)),
        lock(std::move(held)),
        state(std::move(opened)),
        publisher(std::move(found)),
        steering("/sys/fs/bpf/" + instance_of(options.run_dir)),
        executor(std::move(config), std::move(inventory), recorder, *publisher, steering, events, clock),
        upkeep(executor, *publisher, steering, events, clock),
        verbs(executor, upkeep, recorder, *publisher, clock),
        api{executor, upkeep,  verbs, *publisher, steering,   recorder,
            events,   metrics, busy,  clock,      clock.now()} {
    if (options.on_event) events.listen(options.on_event);
    metrics.listen(events);
  }
  ~Parts() {
    disk.join();
    executor.abandon();
  }

  Task<void> begin();
  Task<void> watch_segment();
  Task<void> tidy();
  Task<void> resolve_next_hops();
  Task<void> refresh_routes();
  Task<void> reload();
  Task<void> stay_alive();
  Task<void> end(ExitCode code);
  void on_signal();
  void tell_service_manager();
  void spawn(Task<void> task);
  void ask_for_hops();

  DaemonOptions options;
  ProcessLock lock;
  State state;
  std::unique_ptr<Publisher> publisher;
  asio::thread_pool disk{1};
  Recorder recorder{state, disk};
  const Clock& clock = *options.clock;
  Events events{clock};
  Steering steering;
  ChangeExecutor executor;
  Upkeep upkeep;
  Verbs verbs;
  BusyRatios busy;
  Metrics metrics;
  Api api;
  asio::io_context io{1};
  asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer hops_wanted{io};
  bool hops_are_wanted = true;
  std::unique_ptr<KernelRoutes> routes;
  std::unique_ptr<ApiServers> servers;
  ServiceManager manager;
  bool ending = false;
  ExitCode exit_code = kExitStopped;
};

tl::expected<std::unique_ptr<Daemon>, StartFailure> Daemon::start(DaemonOptions options) {
  tl::expected<Config, ConfigErrors> config = read_config(options.config_path);
  if (!config) return tl::unexpected(StartFailure{kExitUsage, config.error()});

  if (const std::string why = too_large(*config); !why.empty())
    return tl::unexpected(failure(kExitUsage, why));

  std::error_code error;
  std::filesystem::create_directories(options.run_dir, error);
  if (error)
    return tl::unexpected(failure(
        kExitError, fmt::format("{}: cannot create the directory: {}", options.run_dir, error.message())));
  const std::string lock_path = options.run_dir + "/daemon.lock";
  tl::expected<ProcessLock, std::string> lock = ProcessLock::acquire(lock_path);
  if (!lock) {
    const bool held = ProcessLock::is_held(lock_path);
    return tl::unexpected(
        failure(held ? kExitLocked : kExitError,
                held ? "another teald already runs with this run directory: " + lock.error() : lock.error()));
  }
  tl::expected<State, std::string> state = State::open(options.state_dir);
  if (!state) return tl::unexpected(failure(kExitError, state.error()));

  auto publisher = std::make_unique<Publisher>(options.run_dir);
  if (const auto found = publisher->refresh(); !found)
    spdlog::warn("the segment is refused: {}", found.error());
  tl::expected<Inventory, std::string> inventory = recover(*state, *publisher, *config, *options.clock);
  if (!inventory) return tl::unexpected(failure(kExitError, inventory.error()));

  auto parts = std::make_unique<Parts>(std::move(options), std::move(*config), std::move(*inventory),
                                       std::move(*lock), std::move(*state), std::move(publisher));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

ExitCode Daemon::run() {
  Parts& parts = *parts_;
  parts.on_signal();
  parts.spawn(parts.begin());
  parts.io.run();
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
  executor.on_hops_needed([this] { ask_for_hops(); });
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
    spawn(resolve_next_hops());
    spawn(refresh_routes());
  }
  // The segment is complete before teald accepts the first request.
  (void)co_await upkeep.follow_segment();
  servers = std::make_unique<ApiServers>(io, options.run_dir, api);
  if (const auto open = servers->apply(executor.catalogue().config().api); !open) {
    spdlog::critical("{}", open.error());
    co_return co_await end(kExitError);
  }
  executor.on_reload([this](const Config& config) {
    if (servers == nullptr) return;
    if (const auto applied = servers->apply(config.api); !applied)
      spdlog::error("[api] is not applied: {}", applied.error());
  });
  spawn(watch_segment());
  spawn(tidy());
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

Task<void> Daemon::Parts::reload() {
  if (ending) co_return;
  manager.reloading();
  ChangeOptions how{.reason = "SIGHUP", .uid = getuid()};
  const Verbs::Result result = co_await verbs.reload(std::move(how));
  if (result) {
    spdlog::info("reloaded: generation {}", result->generation);
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
    const bool running = publisher->dataplane_running();
    if (running != was_running) {
      spdlog::info("the dataplane {}", running ? "runs" : "has ended; its segment stays");
      events.tell(running ? "dataplane_up" : "dataplane_down");
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

Task<void> Daemon::Parts::tidy() {
  for (;;) {
    co_await clock.sleep(kTidyEvery);
    co_await upkeep.tidy();
    busy.sample(*publisher);
    tell_service_manager();
  }
}

void Daemon::Parts::ask_for_hops() {
  hops_are_wanted = true;
  hops_wanted.cancel();
}

Task<void> Daemon::Parts::resolve_next_hops() {
  NextHops next_hops(*publisher, *routes, [this](const BackendState& backend, bool resolved) {
    const ServiceState* service = executor.catalogue().service(backend.service);
    events.tell("backend", {{"service", service == nullptr ? "" : service->name},
                            {"address", to_string(backend.socket)},
                            {"next_hop", resolved ? "resolved" : "unresolved"}});
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

// Lets the change under way finish, and begins no other.
Task<void> Daemon::Parts::end(ExitCode code) {
  if (ending) co_return;
  ending = true;
  exit_code = code;
  manager.stopping();
  servers.reset();
  co_await executor.finish();
  co_await clock.sleep(kLastAnswers);
  io.stop();
}

}  // namespace teal
