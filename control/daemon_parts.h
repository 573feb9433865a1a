// SPDX-License-Identifier: Apache-2.0
//
// The parts of a running teald. daemon_start.cc makes them, daemon.cc has their tasks.
#pragma once

#include "control/loop/coroutine.h"

#include <csignal>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "control/api/http/listener.h"
#include "control/api/resources/lane.h"
#include "control/api/resources/refusal_log.h"
#include "control/api/resources/router.h"
#include "control/api/resources/servers.h"
#include "control/change/executor.h"
#include "control/change/recovery.h"
#include "control/change/upkeep.h"
#include "control/change/verbs.h"
#include "control/daemon.h"
#include "control/health/health_link.h"
#include "control/health/health_upkeep.h"
#include "control/hooks/hooks.h"
#include "control/kernel/hop_states.h"
#include "control/kernel/steering.h"
#include "control/metrics/busy.h"
#include "control/publish/publisher.h"
#include "control/service_manager.h"
#include "control/state/journal.h"
#include "control/state/recorder.h"
#include "control/state/state_copy.h"
#include "control/state/user_names.h"
#include "control/trial/trials.h"
#include "dataplane/shm/process_lock.h"

namespace teal {

// The database and its thread.
struct Disk {
  Disk(std::string state_dir, Recorder::Limits limits) : recorder(std::move(state_dir), pool, limits) {}
  asio::thread_pool pool{1};
  Recorder recorder;
};

// The parts of a start that are still missing, for daemon_recovery.cc.
struct LateRecovery {
  // All that the start has read, while the segment is refused.
  std::optional<Recorder::Stored> stored;
  // The database takes no writes. Until it does, `copy` is the copy in the run directory as the start read
  // it.
  // The file itself has what this teald keeps.
  bool needs_database = false;
  std::optional<Recorder::Stored> copy;
};

// The order of the members is the reverse order of their destruction. The destructor first ends the threads
// of the disk, of the lanes, of lookups, of files and of the health file, which post to `io`. It then calls
// abandon() on the objects that coroutines in `io` refer to, as `io` destroys these coroutines before the
// objects themselves end.
struct Daemon::Parts {
  Parts(DaemonOptions given, Config config, Recovered recovered, LateRecovery incomplete, ProcessLock held,
        std::unique_ptr<Disk> opened, std::unique_ptr<Publisher> found);
  ~Parts();

  Task<void> begin();
  void begin_health();
  void begin_hooks();
  Hooks::DrainEnd end_of(const PendingDrain& drain) const;
  void publish_health(const HealthWords& words);
  TrialSource trial_source() const;
  OldColourChecks old_colour_checks();
  void look_at_backends();
  Task<void> watch_segment();
  Task<void> watch_rollouts();
  Task<void> judge_rollouts();
  Task<void> tidy();
  Task<void> forget_old_changes();
  Task<void> resolve_next_hops();
  Task<void> refresh_routes();
  Task<void> follow_last_hops();
  Task<void> reload();
  Task<void> stay_alive();
  Task<void> recover_with_segment(const ChangeExecutor::Turn& turn);
  Task<void> recover_with_database();
  Task<void> take(const ChangeExecutor::Turn& turn, Recovered recovered);
  Task<void> record_what_is_missing();
  Task<void> log_with_name(int level, Intent intent, std::string result);
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
  asio::thread_pool lookups{1};  // of user names, which may hang
  asio::thread_pool files{1};    // reads the config file
  UserNames users{lookups, options.name_of_user};
  StateCopy state_copy{options.run_dir};
  std::unique_ptr<Publisher> publisher;
  const Clock& clock = *options.clock;
  RefusalLog refusals{users, clock};
  Lane operators{recorder, options.state_dir, options.disk_limits};
  Lane readers{recorder, options.state_dir, options.disk_limits};
  Events events{clock};
  Steering steering;
  HopStates hop_states;
  HealthBoard health{clock};
  HealthUpkeep health_upkeep{health, events, clock, options.run_dir};
  Hooks hooks{recorder, events, clock};
  Trials trials;
  ChangeExecutor executor;
  Upkeep upkeep;
  Verbs verbs;
  BusyRatios busy;
  NicLosses losses;
  SteeringLosses steering_losses;
  Metrics metrics;
  Api api;
  LateRecovery late;
  Clock::Time recover_next{};
  asio::io_context io{1};
  asio::signal_set signals{io, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer hops_wanted{io};
  bool hops_are_wanted = true;
  std::unique_ptr<KernelRoutes> routes;
  std::unique_ptr<ApiServers> servers;
  std::optional<Listener> health_listener;
  std::unique_ptr<HealthLink> health_link;
  ServiceManager manager;
  bool ending = false;
  ExitCode exit_code = kExitStopped;
};

}  // namespace teal
