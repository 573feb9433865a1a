// SPDX-License-Identifier: Apache-2.0
//
// Carries changes through: check -> commit as intended -> publish -> adopted by every live worker ->
// acknowledge -> commit as done -> answer. One change at a time, first come, first served; what came second
// is checked against what the first left. Each verb says what it wants as a Change (change.h); the way is
// the same for all.
//
// What is in memory follows the segment: it changes at the moment of the publication. The database follows
// at "done"; if it was not told, the next start learns it from the segment and the intent (recovery.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/change/change.h"
#include "control/change/drain.h"
#include "control/change/rollout.h"
#include "control/config/config_file.h"
#include "control/kernel/steering.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"
#include "control/state/recorder.h"

namespace teal {

class ChangeExecutor {
 public:
  using Result = tl::expected<ChangeResult, Refusal>;

  // `inventory` is already in line with `config` and saved. What is referred to outlives this.
  ChangeExecutor(Config config, Inventory inventory, Recorder& recorder, Publisher& publisher, Events& events,
                 std::string pin_dir);

  Task<Result> roll(RolloutRequest request, ChangeOptions options);  // a flip or a rollback
  Task<Result> set_drain(DrainRequest request, ChangeOptions options);
  Task<Result> set_backend(BackendRequest request, ChangeOptions options);
  // Reads the config file; all or nothing.
  Task<Result> reload(ChangeOptions options);
  Task<Result> lock(ChangeOptions options);
  Task<Result> unlock(ChangeOptions options);

  // Called often. Follows the segment; publishes everything into one that does not have it. The error: a
  // segment is there, but refused.
  Task<tl::expected<void, std::string>> follow_segment();

  // Called now and then: does what waits for a grace period, lets go of ids that no flow holds any more, and
  // resets what is left of drains whose deadline is over.
  Task<void> tidy();

  // Comes back when no change is under way, and lets no other begin.
  Task<void> finish();
  // Before the io_context is destroyed.
  void abandon() { mutex_.abandon(); }

  void set_local_addresses(const std::vector<IpAddress>& addresses);
  // `callback` is called when next hops are to be asked for anew: another segment, other ports, other
  // backends.
  void on_hops_needed(std::function<void()> callback) { hops_needed_ = std::move(callback); }
  // `callback` is called with the new config after a reload.
  void on_reload(std::function<void(const Config&)> callback) { reloaded_ = std::move(callback); }

  const Catalogue& catalogue() const { return catalogue_; }
  const DrainTrends& trends() const { return trends_; }
  uint64_t generation() const;                            // the latest that was published
  int64_t loaded_at_ms() const { return loaded_at_ms_; }  // when the config was read
  bool file_differs() const { return file_differs_; }     // since it was read; looked at about once a second

 private:
  using Planned = tl::expected<Change, Refusal>;
  using Planner = std::function<Task<Planned>()>;

  uint64_t next_generation();
  RolloutView view() const;
  bool steered() const;

  // The way of every change: gates, plan, rehearsal or the thing itself.
  Task<Result> change(ChangeOptions options, Planner plan);
  std::optional<Refusal> refused_by_gates(const ChangeOptions& options) const;
  Task<Result> carry_out(Change change, ChangeOptions options);
  Task<Planned> plan_roll(RolloutRequest request);
  Task<Planned> plan_reload();
  ChangeResult unchanged(nlohmann::ordered_json fields) const;
  Task<bool> publish(const Change& change, uint64_t generation);
  void remember(const Change& change);
  Task<Result> set_lock(ChangeOptions options, bool locked);

  Task<tl::expected<void, std::string>> follow_segment_locked();
  Task<void> publish_everything(std::string why);
  Task<void> reset_overdue();
  void tell_of_drains();
  Task<void> let_go_of_retired();

  Catalogue catalogue_;
  Recorder& recorder_;
  Publisher& publisher_;
  Events& events_;
  Steering steering_;
  DrainTrends trends_;
  AsyncMutex mutex_;
  std::optional<AsyncMutex::Guard> finished_;
  std::function<void()> hops_needed_ = [] {};
  std::function<void(const Config&)> reloaded_ = [](const Config&) {};
  FileStamp stamp_;
  int64_t loaded_at_ms_ = 0;
  bool file_differs_ = false;
  bool everything_due_ = true;          // nobody looked yet whether the segment has all of it, or it has not
  bool save_due_ = false;               // the database lags behind what is in memory
  std::vector<uint16_t> idle_retired_;  // backends that had no flow at the last look
};

}  // namespace teal
