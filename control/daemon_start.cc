// SPDX-License-Identifier: Apache-2.0
#include "control/daemon_parts.h"

#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/start_config.h"
#include "control/kernel/next_hops.h"

namespace teal {

namespace {

std::string instance_of(const std::string& run_dir) {
  return (std::filesystem::path(run_dir) / "").parent_path().filename().string();
}

tl::expected<ConfigFile, ConfigErrors> read_file(const std::string& path) {
  auto file = read_config_file(path);
  if (file)  // the parser does not check this
    if (const std::string why = too_large(file->config); !why.empty())
      return tl::unexpected(ConfigErrors{why});
  return file;
}

void tell_of_file_set_aside(const StartConfig& start) {
  for (const std::string& error : start.file_errors) spdlog::critical("the config file is bad: {}", error);
  if (!start.held_back.empty())
    spdlog::critical("the config file has changed and is not taken over: {}", start.held_back);
  if (!start.held_back.empty() || !start.file_errors.empty())
    spdlog::critical("starting with the latest good config");
}

// The lock and the numbers, without services and backends.
Inventory numbers_of(const Inventory& inventory) {
  Inventory numbers;
  numbers.lock = inventory.lock;
  numbers.given_generation = inventory.given_generation;
  numbers.published_generation = inventory.published_generation;
  numbers.revision = inventory.revision;
  return numbers;
}

StartFailure failure(ExitCode code, std::string message) {
  return {code, {std::move(message)}};
}

struct Found {
  Recorder::Stored stored;               // with what the copy adds
  std::optional<Recorder::Stored> copy;  // nothing: there is none, or it is not needed
};

// Reads the database, and from the copy in the run directory what the database lacks. Without both, the
// segment has what is in force. Without a segment, too, nothing says which colours are active: that is the
// error. A database without services was lost if the segment has some. Without a segment, it is the first
// start.
Recorder::Recorded<Found> what_is_stored(Recorder& recorder, const std::string& run_dir,
                                         const Publisher& publisher) {
  Recorder::Recorded<Recorder::Stored> stored = recorder.open();
  if (recorder.is_held()) return tl::unexpected(recorder.why_closed());
  const bool has_segment = publisher.generation() != 0;
  const bool is_lost = stored && stored->inventory.services.empty();
  if (is_lost && !has_segment) return Found{std::move(*stored), {}};
  if (!stored) spdlog::critical("starting without the database: {}", stored.error());
  if (auto copy = StateCopy::read(run_dir)) {
    Recorder::Stored all = stored ? std::move(*stored) : Recorder::Stored();
    take_over_copy(*copy, all);
    return Found{std::move(all), std::move(*copy)};
  }
  if (!stored && !has_segment) return tl::unexpected(stored.error());
  if (stored) return Found{std::move(*stored), {}};
  spdlog::critical("starting with the state that the segment has");
  return Found();
}

// Asks the kernel, through routes of its own: the daemon's are opened later, in its event loop.
std::optional<Refusal> lost_reach(const Catalogue& before, const Catalogue& after,
                                  const DaemonOptions& options, const Publisher& publisher) {
  const std::shared_ptr<Segment> segment = publisher.segment();
  const uint32_t dataplane_pid = publisher.dataplane_pid();
  if (!options.open_kernel_routes || segment == nullptr || !publisher.dataplane_running())
    return std::nullopt;
  asio::io_context io(1);
  const auto routes = options.open_kernel_routes(io, *options.clock, [] {});
  if (!routes) return std::nullopt;  // Parts::begin() tries again, and says why it fails
  const StartLook look{.hop_of =
                           [&](const IpAddress& address) {
                             return hop_state(segment->header(), (*routes)->lookup(address),
                                              options.clock->now());
                           },
                       .pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); },
                       .clock = *options.clock,
                       .dataplane_pid = dataplane_pid};
  return loses_reach_at_start(before, after, look);
}

}  // namespace

Daemon::Parts::Parts(DaemonOptions given, Config config, Recovered recovered, LateRecovery incomplete,
                     ProcessLock held, std::unique_ptr<Disk> opened, std::unique_ptr<Publisher> found)
    : options(std::move(given)),
      lock(std::move(held)),
      disk(std::move(opened)),
      recorder(disk->recorder),
      publisher(std::move(found)),
      steering("/sys/fs/bpf/" + instance_of(options.run_dir)),
      trials(trial_source(), old_colour_checks(), options.run_dir, clock),
      executor(std::move(config), std::move(recovered.inventory), journal, *publisher, steering, events,
               clock),
      upkeep(executor, *publisher, steering, events, trials, options.run_dir, clock),
      verbs(executor, upkeep, recorder, *publisher, {hop_states, health}, users, files, clock),
      api{executor,        upkeep,   verbs,     *publisher, hop_states, health,     health_upkeep,
          steering,        recorder, journal,   events,     metrics,    busy,       losses,
          steering_losses, refusals, operators, readers,    clock,      clock.now()},
      late(std::move(incomplete)) {
  if (options.on_event) events.listen(options.on_event);
  metrics.listen(events);
  executor.know(recovered.requests);
  journal.begin_with(std::move(recovered.to_record));
  if (late.stored)
    upkeep.recover_with([this](const ChangeExecutor::Turn& turn) { return recover_with_segment(turn); });
  executor.on_change([this](const Catalogue& catalogue, const Change* change, const Intent* intent) {
    if (change == nullptr || change->config != nullptr || change->inventory != nullptr)
      health_upkeep.has_new_catalogue();
    else
      health_upkeep.has_news();  // weights and admin states count
    Copied copied{.others_are_recorded =
                      change != nullptr && !late.needs_database && journal.unrecorded().empty()};
    if (intent != nullptr) copied.change = *intent;
    // The copy keeps released ids until the next write of the whole inventory: a worker may hold them.
    const bool sets_values_only = change != nullptr && (change->inventory == nullptr || change->releases_ids);
    if (sets_values_only && state_copy.is_whole()) {
      copied.inventory = numbers_of(catalogue.inventory());
    } else {
      copied.inventory = catalogue.inventory();
      copied.config = catalogue.config().text;
    }
    return state_copy.save(std::move(copied));
  });
  executor.on_log([this](int level, Intent intent, std::string result) {
    const Actor& actor = intent.actor;
    if (actor.user.empty() && !users.is_looked_up(actor.uid))
      return spawn(log_with_name(level, std::move(intent), std::move(result)));
    if (actor.user.empty()) intent.actor.user = users.known(actor.uid);
    log_change(level, intent, result);
  });
  journal.on_landed_late([this] { spawn(record_what_is_missing()); });
  journal.on_recorded([this](int64_t id, const Intent& intent) {
    if (intent.actor.user.empty()) spawn(name_actor(id, intent.actor.uid));
  });
}

Daemon::Parts::~Parts() {
  disk->pool.join();
  lookups.join();
  files.join();
  state_copy.join();
  health_upkeep.join();
  executor.abandon();
  hooks.abandon();
  for (Lane* lane : {&operators, &readers}) {
    lane->history.join();
    lane->abandon();
  }
}

tl::expected<std::unique_ptr<Daemon>, StartFailure> Daemon::start(DaemonOptions options) {
  auto file = read_file(options.config_path);
  // Whether this is the very first start. The run directory is asked first: a disk may hang.
  if (!file && !StateCopy::exists(options.run_dir) &&
      !std::filesystem::exists(options.state_dir + "/teal.db"))
    return tl::unexpected(StartFailure{kExitUsage, file.error()});
  std::error_code error;
  std::filesystem::create_directories(options.run_dir, error);
  if (error)
    return tl::unexpected(failure(
        kExitError, fmt::format("{}: cannot create the directory: {}", options.run_dir, error.message())));
  if (!is_in_memory(options.run_dir))
    spdlog::warn(
        "{} is not on a tmpfs: what lies there outlives a reboot, and its times are then wrong; "
        "use a directory in /run",
        options.run_dir);
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
  const auto refuse = [&](StartFailure why) {
    if (disk->recorder.hangs_since()) (void)disk.release();  // its thread cannot be joined
    return tl::unexpected(std::move(why));
  };
  Recorder::Recorded<Found> found = what_is_stored(disk->recorder, options.run_dir, *publisher);
  if (!found) return refuse(failure(disk->recorder.is_held() ? kExitLocked : kExitError, found.error()));
  const std::optional<std::string> good = found->stored.config;
  LateRecovery late;
  if (!publisher->refused().empty()) late.stored = found->stored;
  Known known = learn(std::move(found->stored), *publisher, *options.clock);
  const auto check_api = [&](const Config& wanted) { return api_problems(wanted, {}, options.run_dir); };
  const auto gate = [&](const Catalogue& before, const Catalogue& after) {
    return lost_reach(before, after, options, *publisher);
  };
  auto start =
      choose_config(std::move(file), options.config_path, good, known.inventory, *publisher, check_api, gate);
  if (!start) return refuse({kExitUsage, start.error()});
  tell_of_file_set_aside(*start);
  tl::expected<Recovered, std::string> recovered = bring_in_line(std::move(known), *publisher, start->config);
  if (!recovered) return refuse(failure(kExitError, recovered.error()));
  if (!disk->recorder.is_open()) {
    spdlog::critical("the database takes no writes; every change but a rollback and an unlock is refused: {}",
                     disk->recorder.why_closed());
    recovered->to_record.clear();  // recover_with_database() records everything
    late.needs_database = true;
    late.copy = std::move(found->copy);
  }

  auto parts =
      std::make_unique<Parts>(std::move(options), std::move(start->config), std::move(*recovered),
                              std::move(late), std::move(*lock), std::move(disk), std::move(publisher));
  parts->verbs.set_aside(std::move(start->file_errors), std::move(start->held_back));
  return std::unique_ptr<Daemon>(new Daemon(std::move(parts)));
}

}  // namespace teal
