// SPDX-License-Identifier: Apache-2.0
//
// The state that outlives teald: ids, traffic splits, generations, and the history of who did what. It is an
// SQLite database, STATE_DIR/teal.db, with a write-ahead log and a sync at each commit.
//
// A change is committed as *intended* before its publication, and its result is committed afterwards. If
// teald is killed in between, the next start compares the intent with the generation in the segment's word:
//
//   teald was killed        the word has         the intent becomes   the traffic splits are
//   before the intent       an earlier one       (there is none)      the old ones
//   before the publication  an earlier one       interrupted          the old ones
//   after the publication   the intent's         done                 the segment's (learn_splits)
//
// The other values that a change sets are in the intent's record (change_record.h).
//
// The history is append-only: a result is a row of its own that names its intent, and triggers refuse updates
// and deletions. Readers get the two rows as one.
//
// Every value is checked when it is read, so teald refuses a damaged database. The error names the file, the
// table, the row, the expected value and the next step. load() accepts everything that the writers write.
//
// Calls block on the disk. Any thread may call, one call at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/state/actor.h"
#include "control/state/change_record.h"
#include "control/state/hook_memory.h"
#include "control/state/inventory.h"

namespace teal {

class Database;

// The lock is set, or (nothing) taken off.
struct LockChange {
  std::optional<ChangeLock> lock;
  std::optional<ChangeLock> before = {};
};

// A request with an id that was carried out. A repetition makes no change and gets the same answer.
struct CarriedOut {
  std::string id;
  uint64_t content = 0;  // a hash of what it asks
  std::string answer;    // JSON
};

// The same, as a start reads it.
struct KnownRequest {
  std::string id;
  uint64_t content = 0;
  int64_t at_ms = 0;
  std::optional<int64_t> intent;  // nothing: it had nothing to change
  std::string answer;             // "": the database has it
};

struct Intent {
  uint64_t generation = 0;
  std::string verb;     // flip, rollback, publish, reload, drain, reset, backend, lock, unlock
  std::string changes;  // for readers of the history, as JSON: an array of objects; those about a service
                        // have its name under "service"
  std::string reason;
  Actor actor;
  int64_t at_ms = 0;
  ChangeRecord record = {};  // what the change sets
  // Such a change publishes nothing: `generation` is the present one, and the intent is done when it is
  // committed.
  std::optional<LockChange> lock = {};
  std::optional<uint64_t> revision = {};   // of an operator's change: the state has it from then on
  std::optional<CarriedOut> request = {};  // if the request has an id
};

// An intent that has no result so far.
struct OpenIntent {
  int64_t id = 0;
  uint64_t generation = 0;
  std::string verb;
  std::string changes;                 // as in the Intent
  std::optional<ChangeRecord> record;  // nothing: an intent of schema 2 or older
  std::optional<uint64_t> revision;    // nothing: not an operator's change
  std::string reason;
  Actor actor;
  int64_t at_ms = 0;
  bool in_force = false;  // known without the segment: the copy in the run directory has it (recovery.h)
};

// How an intent ended. kDone and kAdoptionTimeout were published.
enum class Outcome { kDone, kAdoptionTimeout, kInterrupted, kNotPublished };

inline bool was_published(Outcome outcome) {
  return outcome == Outcome::kDone || outcome == Outcome::kAdoptionTimeout;
}

struct Finish {
  Outcome outcome = Outcome::kDone;
  int64_t at_ms = 0;
  int64_t duration_us = 0;
  std::string detail;
  ChangeRecord record;                     // becomes the state if the change was published
  std::optional<CarriedOut> request = {};  // with the final answer
};

// A lock that landed too late and that another change takes off again.
struct TakenBack {
  int64_t row = 0;        // of the lock's intent: its request is forgotten
  uint64_t revision = 0;  // in force: the lock raised it on the disk only
};

// Something that the database lacks: the end of a change, or an inventory, or both.
struct Unrecorded {
  std::shared_ptr<const Inventory> inventory;  // null: none
  std::shared_ptr<const std::string> config;   // a config that is in force now, for good_config(); null: none
  std::optional<int64_t> row;                  // of the intent; nothing: the intent is not recorded either
  Intent intent;                               // used without a row
  std::optional<Finish> finish;                // nothing: only the inventory is saved
  std::optional<TakenBack> takes_back;
};

// This is written to the copy in the run directory (state_copy.h).
struct Copied {
  Inventory inventory;                // without a config, only the lock and the numbers are used
  std::optional<std::string> config;  // with it, the whole inventory is saved
  std::optional<Intent> change;       // the latest one; it is in force
  bool others_are_recorded = false;   // the database has all changes before it: the copy forgets them
};

// A change with its result, as the API shows it.
struct HistoryRow {
  int64_t id = 0;  // grows with each change, not by 1
  uint64_t generation = 0;
  std::string verb, changes, reason;
  Actor actor;
  std::optional<uint64_t> revision;  // that the change made; nothing: it made none
  int64_t at_ms = 0;                 // when it was intended
  std::string result;          // done, adoption_timeout, interrupted, not_published; pending: none so far
  int64_t finished_at_ms = 0;  // 0: pending
  int64_t duration_us = 0;     // of the publication, until it was adopted
  std::string detail;
};

struct HistoryQuery {
  std::optional<std::string> service;  // changes of this one only
  uint32_t limit = 50;
  std::optional<int64_t> before;  // changes with a smaller id only
};

class State {
 public:
  // Generation numbers are reserved on disk in blocks. A number of the block may have been given to a change
  // that could not be recorded.
  static constexpr uint64_t kReservedGenerations = 10'000;
  static constexpr int64_t kRequestsKeptMs = int64_t{24} * 3600 * 1000;
  static constexpr int64_t kRequestsKept = 10'000;  // the oldest are forgotten earlier
  // The history has the changes of the last 400 days: at least the latest 1,000, and at most 100,000.
  static constexpr int64_t kHistoryKeptMs = int64_t{400} * 24 * 3600 * 1000;
  struct KeptChanges {
    int64_t least = 1'000;  // a clock may have been wrong
    int64_t most = 100'000;
  };

  // Creates the directory (0700) where needed, with its parents.
  static tl::expected<void, std::string> make_directory(const std::string& dir);
  // Creates the directory and the database (0600) where needed, and migrates an older schema
  // (schema.h). Refuses a database that needs a newer teald, and a damaged one.
  static tl::expected<State, std::string> open(const std::string& dir);
  // The same for a database that can be made again: it is migrated without a copy.
  static tl::expected<State, std::string> open_expendable(const std::string& dir);
  // Opens an existing database to read it, for a start with a disk that takes no writes. An older schema is
  // migrated in memory.
  static tl::expected<State, std::string> open_to_read(const std::string& dir);

  // Copies the database, whether a teald uses it or not. The file must not exist.
  static tl::expected<void, std::string> back_up(const std::string& dir, const std::string& file);

  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  ~State();

  using Done = tl::expected<void, std::string>;

  tl::expected<Inventory, std::string> load();
  Done save(const Inventory& inventory);  // replaces the whole inventory, in one transaction
  // Saves the copy of a state that is in force. The change is an open intent then. Without a config, the
  // values of the change's record are saved.
  Done keep(const Copied& copied);

  // Records an intent, and saves the inventory `whole` (unless it is null) in the same transaction. Returns
  // the id for finish().
  tl::expected<int64_t, std::string> intend(const Intent& intent, const Inventory* whole = nullptr);
  // Records the result. If the change was published, `record` and its generation become the state, in the
  // same transaction.
  Done finish(int64_t intent, Outcome outcome, int64_t at_ms, int64_t duration_us, const std::string& detail,
              const ChangeRecord& record);
  // Records the changes in one transaction, in order. Returns the id of each change's intent; 0: it has none.
  tl::expected<std::vector<int64_t>, std::string> record(const std::vector<Unrecorded>& changes);
  // The text of the latest config that was in force, for a start whose file is bad.
  tl::expected<std::optional<std::string>, std::string> good_config();
  // Writes a few bytes that mean nothing, to see whether the disk takes them.
  Done probe();
  // Gives the reserved numbers back. For the end of a teald whose changes are all recorded.
  Done release_reserve();
  // Adds the name of the user who made a change. Nothing changes if the user has a name already.
  Done name_actor(int64_t intent, const std::string& user);

  // Forgets the changes that the history no longer keeps, except those without a result and what came later.
  Done forget_old(int64_t now_ms, KeptChanges kept);

  // Keeps a request that had nothing to change.
  Done remember(const CarriedOut& request, int64_t at_ms);
  tl::expected<std::vector<KnownRequest>, std::string> requests(bool with_answers = false);  // oldest first
  // Returns the answer to a request; nothing: it is not known.
  tl::expected<std::optional<std::string>, std::string> answer(const std::string& request);

  tl::expected<std::vector<OpenIntent>, std::string> open_intents();                      // oldest first
  tl::expected<std::vector<HistoryRow>, std::string> history(const HistoryQuery& query);  // newest first

  // The changes with a greater id, oldest first.
  tl::expected<std::vector<HistoryRow>, std::string> changes_after(int64_t id, uint32_t limit);

  // The progress of hooks.
  tl::expected<HookMemory, std::string> hook_memory();
  Done keep(const HookMemory& memory);
  // The id of the latest change with at most this generation; 0: there is none.
  tl::expected<int64_t, std::string> latest_change(uint64_t generation);

  // Flips and rollbacks that were published with a greater generation, newest first. A rollback to
  // `generation` takes them back.
  tl::expected<std::vector<HistoryRow>, std::string> published_since(uint64_t generation);
  // A moment at which a later generation had replaced `generation`: flows that were born under it are older.
  // Nothing: no later generation is known.
  tl::expected<std::optional<int64_t>, std::string> superseded_at_ms(uint64_t generation);
  // Returns whether the history has a publication with this generation.
  tl::expected<bool, std::string> knows_generation(uint64_t generation);

 private:
  explicit State(std::unique_ptr<Database> db);
  static tl::expected<State, std::string> of(tl::expected<std::unique_ptr<Database>, std::string> database);

  std::unique_ptr<Database> db_;
};

}  // namespace teal
