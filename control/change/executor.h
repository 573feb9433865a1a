// SPDX-License-Identifier: Apache-2.0
//
// The one way of every change, whether an operator or upkeep wants it:
//
//   gates -> intend -> publish -> apply -> adopt -> acknowledge -> finish -> answer
//
//   gates        the segment is not refused, the generation is the expected one, and changes are not locked;
//                a dry run is answered here
//   intend       the change is committed to the database, with its generation and the values that it sets
//   publish      the segment gets new traffic splits, or a ruleset and all splits
//   apply        the catalogue takes the new values: what teald has in memory follows the segment
//   adopt        every live worker has loaded the publication
//   acknowledge  the segment says so; from here on, a flow of an older generation is counted as wrong
//   finish       the result and the values are committed to the database
//
// A lock publishes nothing: it is done when it is committed. A rollback and the changes of upkeep have no
// intent: they are published first, and recorded with their result. If teald is killed before that, the next
// start takes them from the segment (recovery.h). A result that the disk does not take waits in the journal.
//
// Changes take turns, first come, first served; a way back goes first. A change is planned within its Turn,
// so that its plan sees the result of the change before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/change/change.h"
#include "control/change/requests.h"
#include "control/kernel/steering.h"
#include "control/loop/clock.h"
#include "control/loop/events.h"
#include "control/loop/semaphore.h"
#include "control/publish/adoption.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"
#include "control/state/change_line.h"
#include "control/state/journal.h"

namespace teal {

class ChangeExecutor {
 public:
  using Result = tl::expected<ChangeResult, Refusal>;
  using Turn = Semaphore::Permit;

  // `inventory` is in line with `config`, and saved. The parts that are passed by reference outlive this.
  ChangeExecutor(Config config, Inventory inventory, Journal& journal, Publisher& publisher,
                 Steering& steering, Events& events, const Clock& clock);

  Task<Turn> turn(Semaphore::Place place = Semaphore::Place::kLast) { return turns_.acquire(place); }

  // Returns the answer to a request that repeats an earlier one, as soon as the workers have adopted the
  // change; nothing: the request is a first one.
  Task<std::optional<Result>> repeated(const Turn& turn, const ChangeOptions& options);
  // Returns whether a request with the same id was carried out.
  bool is_repetition(const ChangeOptions& options) const {
    return options.request && requests_.find(options.request->id, clock_.wall_ms()) != nullptr;
  }
  // Returns why execute() would refuse the change now, whatever it changes; nothing: it would not.
  std::optional<Refusal> refused_by_gates(const Change& change, const ChangeOptions& options) const;
  // Takes over the requests that a start has read.
  void know(const std::vector<KnownRequest>& requests) { requests_.know(requests); }

  // Carries the change out, unless a gate refuses it, it is empty, or it is a dry run.
  Task<Result> execute(const Turn& turn, Change change, ChangeOptions options);

  // Waits until the workers have adopted the present publication, and acknowledges it.
  Task<Watch> acknowledge_present(const Turn& turn);
  // Acknowledges the present publication if the workers have adopted it after its change stopped waiting.
  void acknowledge_if_adopted(const Turn& turn);

  // Takes over flips that the segment knows and the catalogue does not: the disk failed, or another teald
  // wrote the segment.
  Task<void> learn_from_segment(const Turn& turn);

  // Saves the inventory if the database lags behind it. Call this after a grace period: ids that were
  // released must stay in the database until no worker can hold them.
  Task<void> save_if_due(const Turn& turn);
  // Tries again to record the results that the disk did not take. Without any, it finds out whether the disk
  // works again after a failed commit.
  Task<void> record_what_is_missing(const Turn& turn);

  // Replaces the inventory by one that was recovered later than the start.
  Task<void> replace(const Turn& turn, Inventory inventory);
  // Adds the name of the user who locked, if it was not known yet.
  void name_lock(uint32_t uid, const std::string& user);

  // Returns when no change is under way, and lets no other begin.
  Task<void> finish() { last_turn_.emplace(co_await turn()); }
  // To be called before the io_context is destroyed.
  void abandon() { turns_.abandon(); }

  // `callback` is called when next hops must be resolved again: other backends, another segment, other ports.
  void on_hops_needed(std::function<void()> callback) { need_hops_ = std::move(callback); }
  void need_hops() const { need_hops_(); }
  // `callback` is called with the new config after a reload.
  void on_reload(std::function<void(const Config&)> callback) { reloaded_ = std::move(callback); }
  // `callback` is called when a flip is published, before the services get these states.
  void on_flip(std::function<void(const std::vector<ServiceState>&)> callback) {
    flips_ = std::move(callback);
  }

  // `callback` writes the log's line about a change (change_line.h). `level` is one of spdlog.
  void on_log(std::function<void(int level, Intent, std::string result)> callback) {
    log_ = std::move(callback);
  }

  // `callback` keeps a copy of each state that is in force: what this change has set, or everything if it is
  // null. The intent of the change has its request. A change is answered after the callback has returned.
  using KeepCopy = std::function<Task<void>(const Catalogue&, const Change*, const Intent*)>;
  void on_change(KeepCopy callback) { keep_copy_ = std::move(callback); }
  Task<void> keep_copy() const { return keep_copy_(catalogue_, nullptr, nullptr); }

  const Catalogue& catalogue() const { return catalogue_; }
  uint64_t generation() const;  // of the latest publication

 private:
  struct Progress;

  uint64_t next_generation();
  ChangeResult unchanged(const Change& change, const ChangeOptions& options) const;
  ChangeResult answer_without_change(const Change& change, const ChangeOptions& options) const;

  Task<void> keep(const Config& config, const ChangeOptions& options, ChangeResult& result);
  Task<Result> confirm(const Change& change, const ChangeOptions& options);
  Task<std::optional<Refusal>> not_adopted_yet(std::string way_back);
  Task<tl::expected<nlohmann::ordered_json, std::string>> first_answer(const Requests::Known& known,
                                                                       const std::string& id);
  static std::optional<CarriedOut> carried_out(const ChangeResult& result, const ChangeOptions& options,
                                               bool is_adopted);
  void know(const ChangeResult& result, const ChangeOptions& options, int64_t at_ms, bool is_adopted,
            bool is_on_disk);
  Task<void> remember_nothing(ChangeResult& result, const ChangeOptions& options);
  Task<Watch> acknowledge();
  Task<Result> carry_out(Change change, ChangeOptions options);
  Progress begin(Change change, ChangeOptions options);
  static void tell_of_services(Progress& progress);
  Intent intent_of(const Progress& progress, bool is_adopted) const;
  Task<State::Done> finish(Progress& progress, Outcome outcome, std::string detail, ChangeRecord record);
  // Whether the change is published first and recorded later: also an unlock while the disk is bad.
  bool goes_without_disk(const Change& change) const;
  Task<std::optional<Refusal>> intend(Progress& progress);
  Task<std::optional<Refusal>> publish(Progress& progress);
  Task<bool> publish_ruleset(const Progress& progress);
  Task<void> give_up(Progress& progress, const Refusal& refusal);
  void apply(const Progress& progress);
  void apply_inventory(const Progress& progress);
  Task<void> adopt(Progress& progress);
  Task<void> record_result(Progress& progress);
  Result answer(Progress progress);
  void tell(const Progress& progress, const char* event) const;
  void tell_end(Progress& progress, const char* event) const;
  void log(const Progress& progress, int level, std::string result) const;

  Catalogue catalogue_;
  Journal& journal_;
  Publisher& publisher_;
  Steering& steering_;
  Events& events_;
  const Clock& clock_;
  Requests requests_;
  Semaphore turns_{1};
  std::optional<Turn> last_turn_;
  std::function<void()> need_hops_ = [] {};
  std::function<void(const Config&)> reloaded_ = [](const Config&) {};
  std::function<void(const std::vector<ServiceState>&)> flips_ = [](const std::vector<ServiceState>&) {};
  std::function<void(int, Intent, std::string)> log_ = log_change;
  KeepCopy keep_copy_ = [](const Catalogue&, const Change*, const Intent*) -> Task<void> { co_return; };
  bool save_due_ = false;  // the database has another inventory than the catalogue
};

}  // namespace teal
