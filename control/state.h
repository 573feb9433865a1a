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
//   (learn_targets)
//
// The history is append-only: a result is a row of its own that names its intent. Triggers refuse updates and
// deletions.
//
// Calls block on the disk. One call at a time, from whichever thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/inventory.h"

struct sqlite3;

namespace teal {

struct Actor {
  uint32_t uid = 0;
  std::string user;
};

struct Intent {
  uint64_t generation = 0;
  std::string verb;     // flip, rollback, publish
  std::string changes;  // JSON
  std::string reason;
  Actor actor;
};

struct OpenIntent {
  int64_t id = 0;
  uint64_t generation = 0;
  std::string verb;
};

// How an intent ended. All but kInterrupted and kNotPublished were published.
enum class Outcome { kDone, kAdoptionTimeout, kInterrupted, kNotPublished };

struct HistoryRow {
  int64_t id = 0;
  int64_t intent = 0;  // of a result: the row it is the result of; of an intent: 0
  int64_t at_ms = 0;
  uint64_t generation = 0;
  std::string event;  // intended, done, adoption_timeout, interrupted, not_published
  std::string verb, changes, reason, user, detail;
  uint32_t uid = 0;
  int64_t duration_us = 0;
};

class State {
 public:
  static constexpr int kSchema = 1;

  // Creates the directory (0700) and the database (0600) where needed. Refuses a database of a newer schema.
  static tl::expected<State, std::string> open(const std::string& dir);

  using Done = tl::expected<void, std::string>;

  tl::expected<Inventory, std::string> load();
  Done save(const Inventory& inventory);  // the whole of it, in one transaction

  tl::expected<int64_t, std::string> intend(const Intent& intent);
  // In one transaction: the result, and, if it was published, the targets of `changed` and the generation.
  Done finish(int64_t intent, Outcome outcome, int64_t duration_us, const std::string& detail,
              std::span<const ServiceState> changed);

  tl::expected<std::vector<OpenIntent>, std::string> open_intents();
  tl::expected<std::vector<HistoryRow>, std::string> history(uint32_t limit);  // the latest first

 private:
  struct Close {
    void operator()(sqlite3* db) const;
  };
  class Statement;
  class Transaction;
  explicit State(std::unique_ptr<sqlite3, Close> db, std::string path)
      : db_(std::move(db)), path_(std::move(path)) {}

  Done prepare_schema();
  Done execute(const char* sql);
  std::string failed(std::string_view what) const;

  std::unique_ptr<sqlite3, Close> db_;
  std::string path_;
};

}  // namespace teal
