// SPDX-License-Identifier: Apache-2.0
#include "control/state/state.h"

#include <gtest/gtest.h>

#include <fstream>

#include <sys/stat.h>

#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using std::chrono::milliseconds;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

TEST(State, IsPrivate) {
  const TempDir dir;
  const auto state = State::open(dir.file("a/state"));
  ASSERT_TRUE(state) << state.error();
  EXPECT_EQ(mode_of(dir.file("a/state")), 0700u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db")), 0600u);
  EXPECT_EQ(mode_of(dir.file("a/state/teal.db-wal")), 0600u);
}

// A reader of the history opens the database a second time, and ends.
TEST(State, ASecondOpeningLeavesTheLocksOfTheFirst) {
  const TempDir dir;
  const auto state = State::open(dir.path());
  ASSERT_TRUE(state);
  struct stat status {};
  ASSERT_EQ(::stat(dir.file("teal.db").c_str(), &status), 0);
  const auto is_locked = [&] {
    std::ifstream locks("/proc/locks");
    const std::string inode = ":" + std::to_string(status.st_ino) + " ";
    for (std::string line; std::getline(locks, line);)
      if (line.find(inode) != std::string::npos) return true;
    return false;
  };
  ASSERT_TRUE(is_locked());
  auto second = State::open(dir.path());
  ASSERT_TRUE(second);
  EXPECT_TRUE(is_locked());
  ASSERT_TRUE(second->history({}));
  EXPECT_TRUE(is_locked());
}

TEST(State, KeepsTheInventoryOverARestart) {
  for (const Inventory& saved : {Inventory{}, some_inventory(), tended_inventory()}) {
    const TempDir dir;
    ASSERT_TRUE(State::open(dir.path())->save(saved));
    const auto loaded = State::open(dir.path())->load();
    ASSERT_TRUE(loaded) << loaded.error();
    expect_same(*loaded, saved);
  }
}

TEST(State, SavesInPlaceOfWhatWasThere) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(tended_inventory()));
  Inventory saved = some_inventory();
  saved.services.pop_back();
  saved.backends.pop_back();
  ASSERT_TRUE(state->save(saved));
  expect_same(*state->load(), saved);
}

TEST(State, KeepsMembershipsThatDifferOnly) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->save(tended_inventory()));
  run_sql(dir.file("teal.db"), "CREATE TABLE counted AS SELECT count(*) AS n FROM memberships");
  run_sql(dir.file("teal.db"), "CREATE TABLE t (n CHECK (n = 3)); INSERT INTO t SELECT n FROM counted");
}

TEST(State, GenerationsOnlyGrow) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(some_inventory()));
  ASSERT_TRUE(state->save(Inventory{}));
  EXPECT_EQ(state->load()->given_generation, 9u);
  EXPECT_EQ(state->load()->published_generation, 7u);
}

// A clock that was set to 1960 or to 12000 must not make a database that is refused at the next start.
TEST(State, LoadsWhatItSavedUnderAnyClock) {
  for (const int64_t at_ms : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
    const TempDir dir;
    Inventory saved = tended_inventory();
    saved.services[0].flipped_at_ms = at_ms;
    saved.services[0].drain_timeout = milliseconds(INT64_MAX);
    saved.lock->at_ms = at_ms;
    ASSERT_TRUE(State::open(dir.path())->save(saved));
    const auto loaded = State::open(dir.path())->load();
    ASSERT_TRUE(loaded) << loaded.error();
    EXPECT_GE(loaded->services[0].flipped_at_ms, 0);
  }
}

TEST(State, KeepsWhatHooksHaveRun) {
  const TempDir dir;
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  EXPECT_EQ(*state->hook_memory(), HookMemory()) << "no hooks so far";
  const HookMemory memory{.delivered = 41, .drains = {{"web", 40, 7, "{}"}, {"web", 41, 8, "{\"a\":1}"}}};
  ASSERT_TRUE(state->keep(memory));
  state = State::open(dir.path());
  EXPECT_EQ(*state->hook_memory(), memory);
  ASSERT_TRUE(state->keep(HookMemory()));
  EXPECT_EQ(*state->hook_memory(), HookMemory());
  run_sql(dir.file("teal.db"), "INSERT INTO hook_drains VALUES (-7, 'web', 1, '')");
  EXPECT_FALSE(state->hook_memory());
}

TEST(State, FindsTheChangesAfterAnId) {
  const TempDir dir;
  auto state = State::open(dir.path());
  EXPECT_EQ(*state->latest_change(100), 0);
  for (uint64_t generation = 1; generation <= 5; ++generation)
    ASSERT_TRUE(state->intend({generation, "flip", "[]", "", {}}));
  const auto changes = state->changes_after(2, 2);
  ASSERT_TRUE(changes) << changes.error();
  ASSERT_EQ(changes->size(), 2u);
  EXPECT_EQ(changes->front().id, 3);
  EXPECT_EQ(changes->back().id, 4);
  EXPECT_EQ(changes->front().result, "pending");
  EXPECT_EQ(*state->latest_change(3), 3);
  EXPECT_EQ(*state->latest_change(100), 5);
}

}  // namespace
}  // namespace teal
