// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "control/change/backend_change.h"
#include "control/change/drain.h"
#include "control/change/executor.h"
#include "control/change/preview.h"
#include "control/change/reach.h"
#include "control/change/rollout.h"
#include "control/change/upkeep.h"
#include "control/change/waiting_releases.h"
#include "control/config/config_file.h"
#include "control/hooks/hook_runner.h"
#include "control/kernel/hop_states.h"
#include "control/loop/clock.h"
#include "control/publish/pending_restart.h"
#include "control/publish/publisher.h"
#include "control/state/recorder.h"
#include "control/state/user_names.h"

namespace teal {

// The verbs of operators. Each takes a turn, plans its change from what the changes before have left, and
// hands it to the ChangeExecutor.
class Verbs {
 public:
  using Result = ChangeExecutor::Result;

  // The parts that are passed by reference outlive this. Files are read on a thread of `files`, which must be
  // joined before the io_context of the callers is destroyed.
  Verbs(ChangeExecutor& executor, Upkeep& upkeep, Recorder& recorder, Publisher& publisher,
        BackendFacts facts, const UserNames& users, asio::thread_pool& files, const Clock& clock);

  Task<Result> roll(RolloutRequest request, ChangeOptions options);  // flip, rollback, ramp, next, abort
  Task<Result> pause(Selection what, ChangeOptions options);
  Task<Result> resume(Selection what, ChangeOptions options);
  Task<Result> set_drain(DrainRequest request, ChangeOptions options);
  Task<Result> set_backend(BackendRequest request, ChangeOptions options);
  Task<Result> set_preview(PreviewRequest request, ChangeOptions options);
  // Reads the config file again; all or nothing. Without force it is refused if a service would lose the last
  // backend of its active colour, or of its ramp's, that can be reached.
  Task<Result> reload(ChangeOptions options, bool force = false);
  Task<Result> lock(ChangeOptions options);
  Task<Result> unlock(ChangeOptions options);

  int64_t loaded_at_ms() const { return loaded_at_ms_; }  // when the config in force was read
  // Describes the latest attempt to read the config file, by the start or by a reload. A dry run does not
  // count.
  struct Reload {
    bool done = true;
    int64_t at_ms = 0;
  };
  const Reload& last_reload() const { return last_reload_; }
  // Why teald started with an older config in place of the file: the errors of a bad file, or why a good one
  // was held back.
  const ConfigErrors& file_errors() const { return file_errors_; }
  const std::string& held_back() const { return held_back_; }
  // The latest reload refused the file, for these reasons. Nothing: it took the file, or there was none.
  struct RefusedFile {
    int64_t at_ms = 0;
    ConfigErrors errors;
  };
  const std::optional<RefusedFile>& refused_file() const { return refused_file_; }
  void set_aside(ConfigErrors errors, std::string held_back);
  // Returns whether the config file has another content than the config in force. Reads the file only if its
  // inode, size or time changed.
  bool file_differs() { return file_.differs_from(executor_.catalogue().config().text); }
  // Returns the settings of the config in force that wait for a restart of teal-dataplane, one line each.
  std::vector<std::string> restart_lines();

  // `run` runs pre_flip hooks, and returns their ends in the order of the jobs.
  using RunHooks = std::function<Task<std::vector<HookEnd>>(std::vector<HookJob>)>;
  void run_hooks_with(RunHooks run) { run_hooks_ = std::move(run); }

  const WaitingReleases& waiting_releases() const { return waiting_releases_; }

  // `check` returns the errors of the sockets in [api] that cannot be opened.
  void check_api_with(std::function<ConfigErrors(const Config&)> check) { check_api_ = std::move(check); }
  // `problem` returns why an address has no next hop now, and makes the kernel look for one; "": it has one.
  void look_for_hops_with(std::function<std::string(const IpAddress&)> problem) {
    hop_problem_ = std::move(problem);
  }

 private:
  using Planned = tl::expected<Change, Refusal>;
  using Planner = std::function<Task<Planned>()>;

  Task<Result> change(ChangeOptions options, Planner plan, Semaphore::Place place = Semaphore::Place::kLast);
  Task<void> wait_for_answers(const RolloutRequest& request);
  // The pre_flip hooks of a request.
  struct PreFlip {
    HookRequest request;
    bool is_due = false;  // the request waits for its hooks
    std::vector<HookJob> jobs;
    std::vector<HookEnd> ends;                      // of the jobs
    std::shared_ptr<WaitingReleases::Place> place;  // of a release that waits
    // Returns whether a way back is made, which calls off the releases that wait. Empty: the request is not a
    // way back, or a dry run.
    std::function<bool(const Change&)> passes_gates;
  };
  Task<std::optional<Refusal>> run_pre_flip(const RolloutRequest& request, const ChangeOptions& options,
                                            PreFlip& hooks);
  void call_off_releases(const RolloutPlan& plan, const Actor& actor, Change& change);
  std::vector<HookJob> pre_flip_jobs_of(const RolloutPlan& plan, const PreFlip& hooks) const;
  RolloutView view_for(const RolloutRequest& request) const;
  Task<Planned> plan_roll(RolloutRequest request, PreFlip hooks);
  std::optional<Refusal> refused_by_gates(const RolloutPlan& plan, const RolloutRequest& request,
                                          const PreFlip& hooks, const Reach& reach, Change& change) const;
  Planned plan_next(const std::vector<std::string>& services) const;
  Planned plan_way_back(const std::vector<std::string>& services) const;
  std::optional<Refusal> judged_bad(const RolloutPlan& plan, std::vector<ClosedGate>& closed) const;
  void learn_what_is_slow(RolloutPlan& plan) const;
  void warn_of_flips(const RolloutPlan& plan, Change& change) const;
  void tell_drains(const RolloutPlan& plan, Change& change) const;
  void judge_flips_back(Colour to, RolloutView& view) const;
  Reach look_at_reach(const RolloutPlan& plan) const;
  Reach known_reach(const RolloutPlan& plan) const;
  Planned plan_reload_of(const tl::expected<ConfigFile, ConfigErrors>& file,
                         const std::vector<BackendWithoutHop>& new_without_hop, bool force);
  Task<std::vector<BackendWithoutHop>> new_without_hop(const Config& config) const;
  std::string flipper(const ServiceState& service) const;
  Task<tl::expected<void, Refusal>> look_back(uint64_t generation, RolloutView& view);

  ChangeExecutor& executor_;
  Upkeep& upkeep_;
  Recorder& recorder_;
  Publisher& publisher_;
  const BackendFacts facts_;
  const UserNames& users_;
  asio::thread_pool& files_;
  const Clock& clock_;
  FileWatch file_;
  int64_t loaded_at_ms_;
  Reload last_reload_{true, loaded_at_ms_};
  ConfigErrors file_errors_;
  std::string held_back_;
  std::optional<RefusedFile> refused_file_;
  PendingRestart restart_;
  std::optional<DataplaneOptions> options_;  // of the config in force
  std::function<ConfigErrors(const Config&)> check_api_ = [](const Config&) { return ConfigErrors(); };
  RunHooks run_hooks_ = run_no_hooks;
  WaitingReleases waiting_releases_;
  std::function<std::string(const IpAddress&)> hop_problem_ = [](const IpAddress&) { return std::string(); };
};

}  // namespace teal
