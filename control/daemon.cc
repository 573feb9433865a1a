// SPDX-License-Identifier: Apache-2.0
#include "control/daemon.h"

#include "control/loop/coroutine.h"

#include <csignal>
#include <cstdlib>
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
#include "control/state/journal.h"
#include "control/state/recorder.h"
#include "control/state/user_names.h"
#include "dataplane/shm/process_lock.h"

namespace teal {

namespace {

using namespace std::chrono_literals;

constexpr auto kFollowEvery = 100ms;
constexpr auto kTidyEvery = 1s;
constexpr auto kRefreshEvery = 5s;
constexpr auto kLastAnswers = 20ms;  // for the answers to the last requests
constexpr auto kRecoverEvery = 1s;
// How long the segment of a running dataplane may have another ABI before teald ends: an upgrade replaces one
// process after the other.
constexpr auto kRefusedFor = 10s;

std::string instance_of(const std::string& run_dir) {
  return (std::filesystem::path(run_dir) / "").parent_path().filename().string();
}

// Adds what the parser does not check.
tl::expected<Config, ConfigErrors> checked(tl::expected<Config, ConfigErrors> config) {
  if (config)
    if (const std::string why = too_large(*config); !why.empty()) return tl::unexpected(ConfigErrors{why});
  return config;
}

StartFailure failure(ExitCode code, std::string message) {
  return {code, {std::move(message)}};
}

// The database and its thread.
struct Disk {
  Disk(std::string state_dir, Recorder::Limits limits) : recorder(std::move(state_dir), pool, limits) {}
  asio::thread_pool pool{1};
  Recorder recorder;
};

}  // namespace

// The order of the members is the reverse order of their destruction. The destructor first ends the threads
// of the disk and of the lookups, which post to `io`. It then calls abandon() on the objects that coroutines
// in `io` refer to, as `io` destroys these coroutines before the objects themselves end.
struct Daemon::Parts {
  Parts(DaemonOptions given, Config config, Recovered recovered, ProcessLock held,
        std::unique_ptr<Disk> opened, std::unique_ptr<Publisher> found)
      : options(std::move(given)),
        lock(std::move(held)),
        disk(std::move(opened)),
        recorder(disk->recorder),
        publisher(std::move(found)),
        steering("/sys/fs/bpf/" + instance_of(options.run_dir)),
        executor(std::move(config), std::move(recovered.inventory), journal, *publisher, steering, events,
                 clock),
        upkeep(executor, *publisher, steering, events, clock),
        verbs(executor, upkeep, recorder, *publisher, users, lookups, clock),
        api{executor, upkeep, verbs,   *publisher, steering, recorder,
            journal,  events, metrics, busy,       clock,    clock.now()},
        recovery_due(!recorder.is_open() || !publisher->refused().empty()) {
    if (options.on_event) events.listen(options.on_event);
    metrics.listen(events);
    journal.begin_with(std::move(recovered.to_record));
    journal.on_recorded([this](int64_t id, const Intent& intent) {
      if (intent.actor.user.empty()) spawn(name_actor(id, intent.actor.uid));
    });
  }
  ~Parts() {
    disk->pool.join();
    lookups.join();
    executor.abandon();
  }

  Task<void> begin();
  Task<void> watch_segment();
  Task<void> tidy();
  Task<void> resolve_next_hops();
  Task<void> refresh_routes();
  Task<void> reload();
  Task<void> stay_alive();
  Task<void> recover_again();
  Task<void> name_actor(int64_t intent, uint32_t uid);
  Task<void> end(ExitCode code);
  void on_signal();
  void tell_service_manager();
  void spawn(Task<void> task);
  void ask_for_hops();

  DaemonOptions options;
  ProcessLock lock;
  std::unique_ptr<Disk> disk;
  Recorder& recorder;
  Journal journal{recorder};
  asio::thread_pool lookups{1};
  UserNames users{lookups};
  std::unique_ptr<Publisher> publisher;
  const Clock& clock = *options.clock;
  Events events{clock};
  Steering steering;
  ChangeExecutor executor;
  Upkeep upkeep;
  Verbs verbs;
  BusyRatios busy;
  Metrics metrics;
  Api api;
  // The start could not read the database, or refused the segment.
  bool recovery_due;
  Clock::Time recover_next{};
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
  tl::expected<Config, ConfigErrors> config = checked(read_config(options.config_path));
  if (!config && !std::filesystem::exists(options.state_dir + "/teal.db"))  // the very first start
    return tl::unexpected(StartFailure{kExitUsage, config.error()});
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
  auto publisher = std::make_unique<Publisher>(options.run_dir);
  if (const auto found = publisher->refresh(); !found)
    spdlog::warn("the segment is refused: {}", found.error());
  auto disk = std::make_unique<Disk>(options.state_dir, options.disk_limits);
  Recorder::Recorded<Recorder::Stored> stored = disk->recorder.open();
  if (!stored) {
    // The segment has what is in force. Without a segment, nothing says which colours are active.
    if (publisher->generation() == 0) {
      if (disk->recorder.hangs_since()) (void)disk.release();  // its thread cannot be joined
      return tl::unexpected(failure(kExitError, stored.error()));
    }
    spdlog::critical("starting with the state that the segment has: {}", stored.error());
    stored = Recorder::Stored();
  }
  ConfigErrors file_errors;
  if (!config) {  // an edit of the file must not take the control plane away
    if (!stored->config) return tl::unexpected(StartFailure{kExitUsage, config.error()});
    file_errors = std::move(config.error());
    for (const std::string& error : file_errors) spdlog::critical("the config file is bad: {}", error);
    spdlog::critical("starting with the latest good config");
    config = checked(parse_config(*stored->config, options.config_path));
    if (!config) return tl::unexpected(StartFailure{kExitUsage, file_errors});
  }
  tl::expected<Recovered, std::string> recovered =
      recover(std::move(*stored), *publisher, *config, *options.clock);
  if (!recovered) return tl::unexpected(failure(kExitError, recovered.error()));
  if (!disk->recorder.is_open()) {
    spdlog::critical("the disk takes no writes; every change but a rollback is refused: {}",
                     disk->recorder.why_closed());
    recovered->to_record.clear();  // recover_again() records everything
  }

  auto parts = std::make_unique<Parts>(std::move(options), std::move(*config), std::move(*recovered),
                                       std::move(*lock), std::move(disk), std::move(publisher));
  parts->verbs.set_file_errors(std::move(file_errors));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

Daemon::Daemon(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Daemon::~Daemon() = default;

ExitCode Daemon::run() {
  Parts& parts = *parts_;
  parts.on_signal();
  parts.spawn(parts.begin());
  parts.io.run();
  if (parts.recorder.hangs_since()) {
    spdlog::critical("ending without the disk: it does not answer");
    std::_Exit(parts.exit_code);  // the disk's thread cannot be joined
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
  (void)co_await journal.flush();
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

// What the start could not do: reads the database, now that the disk answers and the segment is not refused.
// Meanwhile teald has made no change but rollbacks and upkeep, whose results are in the journal.
Task<void> Daemon::Parts::recover_again() {
  if (!recovery_due || clock.now() < recover_next || !publisher->refused().empty()) co_return;
  recover_next = clock.now() + kRecoverEvery;
  const ChangeExecutor::Turn turn = co_await executor.turn();
  Recorder::Recorded<Recorder::Stored> stored = co_await recorder.reopen();
  if (!stored) co_return;
  tl::expected<Recovered, std::string> recovered =
      recover(std::move(*stored), *publisher, executor.catalogue().config(), clock);
  if (!recovered) {
    spdlog::error("cannot take over the database: {}", recovered.error());
    co_return;
  }
  for (const Unrecorded& change : journal.unrecorded()) {
    if (!change.finish || !was_published(change.finish->outcome)) continue;
    apply(change.finish->record, recovered->inventory);
    describe_flips(change.finish->record, recovered->inventory);
  }
  spdlog::warn("the database is read: teald has its whole state again");
  recovery_due = false;
  journal.begin_with(std::move(recovered->to_record));
  executor.replace(turn, std::move(recovered->inventory));
  upkeep.publish_again();
}

// The name is not worth a wait before a change, so it is looked up and recorded afterwards.
Task<void> Daemon::Parts::name_actor(int64_t intent, uint32_t uid) {
  const std::string user = co_await users.look_up(uid);
  if (user.empty()) co_return;
  executor.name_lock(uid, user);
  (void)co_await recorder.name_actor(intent, user);
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
    co_await recover_again();
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
  if (journal.unrecorded().empty()) (void)co_await recorder.release_reserve();
  co_await clock.sleep(kLastAnswers);
  io.stop();
}

}  // namespace teal
