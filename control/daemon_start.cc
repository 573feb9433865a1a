// SPDX-License-Identifier: Apache-2.0
#include "control/daemon_parts.h"

#include <filesystem>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

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

}  // namespace

Daemon::Parts::Parts(DaemonOptions given, Config config, Recovered recovered, ProcessLock held,
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
      verbs(executor, upkeep, recorder, *publisher, hop_states, users, lookups, clock),
      api{executor, upkeep, verbs,   *publisher, hop_states, steering,   recorder,
          journal,  events, metrics, busy,       clock,      clock.now()},
      recovery_due(!recorder.is_open() || !publisher->refused().empty()) {
  if (options.on_event) events.listen(options.on_event);
  metrics.listen(events);
  journal.begin_with(std::move(recovered.to_record));
  executor.on_change([this](const Catalogue& catalogue) {
    return state_copy.save(catalogue.inventory(), catalogue.config().text);
  });
  journal.on_landed_late([this] { spawn(record_what_is_missing()); });
  journal.on_recorded([this](int64_t id, const Intent& intent) {
    if (intent.actor.user.empty()) spawn(name_actor(id, intent.actor.uid));
  });
}

Daemon::Parts::~Parts() {
  disk->pool.join();
  lookups.join();
  state_copy.join();
  executor.abandon();
}

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
    spdlog::critical("starting without the database: {}", stored.error());
    stored = StateCopy::read(options.run_dir);
    if (!stored) {
      spdlog::critical("starting with the state that the segment has: {}", stored.error());
      stored = Recorder::Stored();
    }
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

}  // namespace teal
