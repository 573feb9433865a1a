// SPDX-License-Identifier: Apache-2.0
//
// What survives teald, in SQLite (STATE_DIR/teal.db, write-ahead log, every commit synced): ids, targets,
// generations, and the history of who did what.
//
// A change is committed as *intended* before it is published and gets its result after. So a start can tell,
// together with the segment's word, what became of a change that teald did not live to see through:
//   killed before the intent      nothing happened, nothing is recorded
//   killed before the publication the word has another generation: interrupted, the targets are the old ones
//   killed after the publication  the word has the intent's generation: done, the targets are the segment's
//   (learn_splits)
//
// The history is append-only: a result is a row of its own that names its intent, and triggers refuse updates
// and deletions. Readers get the two as one.
//
// What is read is checked value by value, so that a damaged database is told and not acted on: the error says
// the file, table, row, what was expected, and what to do next. What save() and its kin write, load() takes.
//
// Calls block on the disk. One call at a time, from whichever thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/state/inventory.h"

namespace teal {

class Database;

struct Actor {
  uint32_t uid = 0;
  std::string user;
};

struct Intent {
  uint64_t generation = 0;
  std::string verb;     // flip, rollback, publish, reload, drain, reset, backend, lock, unlock
  std::string changes;  // JSON: an array of objects; those about a service have its name under "service"
  std::string reason;
  Actor actor;
};

// Without a result so far.
struct OpenIntent {
  int64_t id = 0;
  uint64_t generation = 0;
  std::string verb;
  std::string changes;  // as in the Intent
};

// How an intent ended. All but kInterrupted and kNotPublished were published.
enum class Outcome { kDone, kAdoptionTimeout, kInterrupted, kNotPublished };

// A change with its result.
struct HistoryRow {
  int64_t id = 0;  // grows with each change, not by 1
  uint64_t generation = 0;
  std::string verb, changes, reason;
  uint32_t uid = 0;
  std::string user;
  int64_t at_ms = 0;           // when it was intended
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
  static constexpr int kSchema = 2;

  // Creates the directory (0700) and the database (0600) where needed. Refuses a database of a newer schema,
  // and a damaged one.
  static tl::expected<State, std::string> open(const std::string& dir);

  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  ~State();

  using Done = tl::expected<void, std::string>;

  tl::expected<Inventory, std::string> load();
  Done save(const Inventory& inventory);  // the whole of it, in one transaction

  // With `whole`, that inventory is saved in the same transaction. The id is for finish().
  tl::expected<int64_t, std::string> intend(const Intent& intent, const Inventory* whole = nullptr);
  // In one transaction: the result, and, if it was published, the targets and drains of `services`, the
  // memberships of `backends`, and the generation.
  Done finish(int64_t intent, Outcome outcome, int64_t duration_us, const std::string& detail,
              std::span<const ServiceState> services, std::span<const BackendState> backends = {});
  // A lock (or nothing: it is taken off) is done as soon as it is recorded. Nothing is published: the
  // generation is the present one.
  Done record_lock(const Intent& intent, const std::optional<ChangeLock>& lock);

  tl::expected<std::vector<OpenIntent>, std::string> open_intents();                      // oldest first
  tl::expected<std::vector<HistoryRow>, std::string> history(const HistoryQuery& query);  // newest first

  // Flips and rollbacks that were published with a greater generation, newest first: what a rollback to
  // `generation` takes back.
  tl::expected<std::vector<HistoryRow>, std::string> published_since(uint64_t generation);
  // A moment by which `generation` was no longer the latest: flows born under it are older. Nothing: it is
  // the latest, as far as is known.
  tl::expected<std::optional<int64_t>, std::string> superseded_at_ms(uint64_t generation);
  // Was it published, and recorded?
  tl::expected<bool, std::string> knows_generation(uint64_t generation);

 private:
  explicit State(std::unique_ptr<Database> db);

  std::unique_ptr<Database> db_;
};

}  // namespace teal
