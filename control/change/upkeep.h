// SPDX-License-Identifier: Apache-2.0
//
// Upkeep makes the changes that follow from the state and not from a request. Upkeep follows the segment and
// gives a new one everything, goes on with ramps, answers what their judgement finds, resets drains at their
// deadline, and releases the ids of retired backends. It only plans: the ChangeExecutor carries out its
// changes as it does for an operator.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/executor.h"
#include "control/change/judging.h"
#include "control/change/ramp.h"
#include "control/change/retired.h"
#include "control/drain/drain_trends.h"
#include "control/kernel/steering.h"
#include "control/loop/backoff.h"
#include "control/loop/clock.h"
#include "control/loop/events.h"
#include "control/publish/publisher.h"

namespace teal {

class Upkeep {
 public:
  using Followed = tl::expected<void, std::string>;
  using Turn = ChangeExecutor::Turn;

  // The parts that are passed by reference outlive this.
  Upkeep(ChangeExecutor& executor, Publisher& publisher, Steering& steering, Events& events, Trials& trials,
         std::string run_dir, const Clock& clock);

  // Attaches to the segment, publishes everything into a segment that lacks it, begins the next steps of
  // ramps, and begins the resets of overdue drains. To be called about ten times a second. A change that
  // fails is tried again more and more seldom (backoff.h), and the history has one row about it. The error:
  // there is a segment, but it is refused.
  Task<Followed> follow_segment();
  // The same within the caller's turn, at once and without the resets. A change calls it first, so that a
  // segment that was made just now has everything before the change.
  Task<Followed> follow_segment(const Turn& turn);

  // Looks at the flows of the rollouts under way. To be called about ten times a second, whatever else waits.
  void look_at_rollouts();
  // Answers what these looks have found: rolls back what is bad. To be called as often.
  Task<void> judge();

  // Does what waits for a grace period: cleans up the steering maps, saves the ids, releases retired ids.
  // Tells of drains that ended. To be called about once a second.
  Task<void> tidy();

  // Lets the next follow_segment() compare the segment with the state, and publish what differs.
  void publish_again() {
    everything_due_ = true;
    publishing_.reset();
  }

  // `recover` completes a start that refused the segment. The first turn that finds a usable one calls it,
  // before it publishes anything.
  void recover_with(std::function<Task<void>(const Turn&)> recover) { recover_ = std::move(recover); }

  void set_local_addresses(const std::vector<IpAddress>& addresses);

  const DrainTrends& trends() const { return trends_; }
  const RampTimers& ramps() const { return ramps_; }
  const Trials& trials() const { return trials_; }

  // Plans changes of colours as the verbs of operators do.
  using Plan = std::function<tl::expected<Change, Refusal>(const std::vector<std::string>& services)>;
  void plan_with(Plan next, Plan rollback) {
    plan_step_ = std::move(next);
    plan_rollback_ = std::move(rollback);
  }

 private:
  Task<Followed> follow(const Turn& turn, bool at_once);
  Task<ChangeExecutor::Result> attempt(const Turn& turn, Change change, std::string reason, Backoff& retry);
  Task<void> publish_everything(const Turn& turn, std::string why);
  bool segment_has_everything() const;
  Task<void> reset_overdue(const Turn& turn);
  Task<void> advance_ramps(const Turn& turn);
  Task<void> advance(const Turn& turn, const std::vector<std::string>& services);
  Task<void> pause(const Turn& turn, const std::vector<std::string>& services, std::string why);
  Task<void> answer(Finding finding);
  tl::expected<Change, Refusal> plan_answer(const Finding& finding,
                                            const std::vector<std::string>& services) const;
  void tell_of(const Finding& finding, std::string_view what);
  Task<void> release_retired(const Turn& turn);
  void tell_of_ended_drains();

  ChangeExecutor& executor_;
  Publisher& publisher_;
  Steering& steering_;
  Events& events_;
  Trials& trials_;
  const Clock& clock_;
  DrainTrends trends_;
  RampTimers ramps_;
  Plan plan_step_, plan_rollback_;
  RetiredBackends retired_;
  // The segment may lack something: teald has just started, or the attempt to publish everything failed.
  bool everything_due_ = true;
  std::function<Task<void>(const Turn&)> recover_;  // empty: nothing is to be completed
  Backoff publishing_{clock_}, resetting_{clock_}, releasing_{clock_}, stepping_{clock_}, answering_{clock_};
};

}  // namespace teal
