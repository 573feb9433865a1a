// SPDX-License-Identifier: Apache-2.0
//
// Carries changes through: check -> commit as intended -> publish -> adopted by every live worker ->
// acknowledge -> commit as done -> answer. One change at a time, first come, first served; what came second
// is checked against what the first left.
//
// What is in memory follows the segment: targets change at the moment of the publication. The database
// follows at "done"; if it was not told, the next start learns it from the segment (inventory.h:
// learn_targets).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/catalogue.h"
#include "control/coroutine.h"
#include "control/publisher.h"
#include "control/rollout.h"
#include "control/state.h"
#include "control/steering.h"

namespace teal {

struct ChangeResult {
  uint64_t generation = 0;
  std::vector<TargetChange> changed;
  std::vector<std::string> unchanged;
  Adoption adoption;
  bool dataplane_running = false;
  std::vector<std::string> warnings;
};

class Switcher {
 public:
  using Result = tl::expected<ChangeResult, Refusal>;

  // `inventory` is already in line with `config` and saved. What is referred to outlives this.
  Switcher(Config config, Inventory inventory, State& state, asio::thread_pool& disk, Publisher& publisher,
           std::string pin_dir);

  // A flip or a rollback.
  Task<Result> change(RolloutRequest request, uint32_t uid);

  // Called often. Follows the segment; publishes everything into one that does not have it. The error: a
  // segment is there, but refused.
  Task<tl::expected<void, std::string>> follow();

  // Called now and then: does what waits for a grace period, and lets go of ids that no flow holds any more.
  Task<void> tidy();

  // Comes back when no change is under way, and lets no other begin.
  Task<void> finish();
  // Before the io_context is destroyed.
  void abandon() { mutex_.abandon(); }

  void set_local_addresses(const std::vector<IpAddress>& addresses);
  // `callback` is called when next hops are to be asked for anew: another segment, other ports, other
  // backends.
  void on_hops_needed(std::function<void()> callback) { hops_needed_ = std::move(callback); }

  const Catalogue& catalogue() const { return catalogue_; }
  uint64_t generation() const;  // the latest that was published

 private:
  struct Watch;  // how an adoption went
  using Attempt = std::function<bool()>;

  uint64_t next_generation();
  RolloutView view() const;
  bool steered() const;

  Task<tl::expected<void, std::string>> follow_locked();
  Task<Result> carry_out(const RolloutRequest& request, const RolloutPlan& plan, uint32_t uid);
  Task<void> publish_everything(std::string why);
  Task<tl::expected<int64_t, std::string>> record_intent(Intent intent);
  Task<State::Done> record_result(int64_t intent, Outcome outcome, int64_t duration_us, std::string detail,
                                  std::vector<ServiceState> changed);
  Task<bool> with_a_free_slot(Attempt attempt);
  Task<Watch> watch_adoption();
  Task<void> let_go_of_retired();

  Catalogue catalogue_;
  State& state_;
  asio::thread_pool& disk_;
  Publisher& publisher_;
  Steering steering_;
  AsyncMutex mutex_;
  std::optional<AsyncMutex::Guard> finished_;
  std::function<void()> hops_needed_ = [] {};
  bool everything_due_ = true;          // nobody looked yet whether the segment has all of it, or it has not
  bool save_due_ = false;               // ids were let go of, and become free after a grace period
  std::vector<uint16_t> idle_retired_;  // backends that had no flow at the last look
};

}  // namespace teal
