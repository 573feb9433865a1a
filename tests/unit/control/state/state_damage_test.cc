// SPDX-License-Identifier: Apache-2.0
//
// Databases that teald did not write like this, and directories that it cannot write to. Each error says what
// to do next.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "control/state/state.h"
#include "tests/unit/control/state/databases.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

struct Damage {
  const char* name;
  const char* sql;
  const char* says;
};

class DamagedValue : public testing::TestWithParam<Damage> {};

TEST_P(DamagedValue, IsToldWithTableRowAndNextStep) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->save(some_inventory()));
  run_sql(dir.file("teal.db"), GetParam().sql);
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  const auto loaded = state->load();
  ASSERT_FALSE(loaded) << "it was loaded";
  const std::string& error = loaded.error();
  EXPECT_EQ(error.find(dir.file("teal.db: ")), 0u) << error;
  EXPECT_NE(error.find(GetParam().says), std::string::npos) << error;
  EXPECT_NE(error.find("move " + dir.file("teal.db*") + " aside"), std::string::npos) << error;
}

// The schema holds back a second id or socket, so these come with a schema that does not.
constexpr char kTwoOfOneId[] =
    "CREATE TABLE copy AS SELECT * FROM services; DROP TABLE services; ALTER TABLE copy RENAME TO services;"
    "UPDATE services SET id = 0";
constexpr char kTwoOfOneName[] =
    "CREATE TABLE copy AS SELECT * FROM services; DROP TABLE services; ALTER TABLE copy RENAME TO services;"
    "UPDATE services SET name = 'service-a'";
constexpr char kTwoOfOneVip[] =
    "CREATE TABLE copy AS SELECT * FROM services; DROP TABLE services; ALTER TABLE copy RENAME TO services;"
    "UPDATE services SET vip = '198.18.0.10:80'";
constexpr char kTwoOfOneSocket[] =
    "CREATE TABLE copy AS SELECT * FROM backends; DROP TABLE backends; ALTER TABLE copy RENAME TO backends;"
    "UPDATE backends SET socket = '198.18.2.11:8080'";
constexpr char kTwoBackendsOfOneId[] =
    "CREATE TABLE copy AS SELECT * FROM backends; DROP TABLE backends; ALTER TABLE copy RENAME TO backends;"
    "UPDATE backends SET id = 4095";
constexpr char kTwoLocks[] =
    "DROP TABLE lock; CREATE TABLE lock (id, uid, user, reason, at_ms, by_root);"
    "INSERT INTO lock VALUES (0, 0, 'a', '', 1, 0), (0, 0, 'b', '', 1, 0)";

constexpr Damage kDamages[] = {
    {"ServiceIdBeyondLimit", "UPDATE services SET id = 1024 WHERE id = 5",
     "table services, row 1024: id is 1024, expected an integer from 0 to 1023"},
    {"ServiceIdNegative", "UPDATE services SET id = -1 WHERE id = 5", "row -1: id is -1"},
    {"ServiceIdThatWrapsAround", "UPDATE services SET id = 65536 WHERE id = 5", "row 65536: id is 65536"},
    {"TwoServicesOfOneId", kTwoOfOneId, "table services, row 0: id is 0, expected another in each row"},
    {"TwoServicesOfOneName", kTwoOfOneName, "name is \"service-a\", expected another in each row"},
    {"TwoServicesOfOneVip", kTwoOfOneVip,
     "row 5: vip is \"198.18.0.10:80\", expected another socket in each row"},
    {"NameThatIsNone", "UPDATE services SET name = 'a' || char(10) || 'b' WHERE id = 0",
     "table services, row 0: name is \"a\\x0ab\", expected 1 to 63 of a-z"},
    {"NameOfWrongType", "UPDATE services SET name = x'61' WHERE id = 0", "name is a blob, expected text"},
    {"VipThatIsNone", "UPDATE services SET vip = '198.18.0.300:80' WHERE id = 0",
     "row 0: vip is \"198.18.0.300:80\", expected an address and port"},
    {"VipOfNothing", "UPDATE services SET vip = '' WHERE id = 0", "row 0: vip is \"\""},
    {"ProtocolOther", "UPDATE services SET protocol = 132 WHERE id = 5",
     "row 5: protocol is 132, expected 6 (TCP) or 17 (UDP)"},
    {"ProtocolThatWrapsAround", "UPDATE services SET protocol = 262 WHERE id = 5", "row 5: protocol is 262"},
    {"AffinityOther", "UPDATE services SET affinity_client = 2", "affinity_client is 2, expected an integer"},
    {"RetiredOther", "UPDATE services SET retired = -1", "retired is -1"},
    {"PreviewThatIsAVip", "UPDATE services SET preview = vip", "expected another socket in each row"},
    {"PreviewClientsOther", "UPDATE services SET preview_clients = '198.18.1.7/24'", "has bits behind"},
    {"ColourOf7", "UPDATE services SET active = 7 WHERE id = 5",
     "table services, row 5: active is 7, expected an integer from 0 to 1"},
    {"ColourOfWrongType", "UPDATE services SET active = 'green' WHERE id = 0", "active is \"green\""},
    {"ColourThatIsNoInteger", "UPDATE services SET active = 0.5", "active is a floating-point number"},
    {"PreviousColourOf7", "UPDATE services SET previous = 7 WHERE id = 0", "previous is 7"},
    {"FlipGenerationNegative", "UPDATE services SET flip_generation = -7 WHERE id = 0",
     "flip_generation is -7"},
    {"FlipGenerationBeyondTheWord", "UPDATE services SET flip_generation = 1 << 60 WHERE id = 0",
     "flip_generation is 1152921504606846976"},
    {"FlipTimeNegative", "UPDATE services SET flipped_at_ms = -1 WHERE id = 0", "flipped_at_ms is -1"},
    {"FlipTimeBeyondAllClocks", "UPDATE services SET flipped_at_ms = 1 << 60 WHERE id = 0",
     "flipped_at_ms is"},
    {"DrainTimeoutNegative", "UPDATE services SET drain_timeout_ms = -1", "drain_timeout_ms is -1"},
    {"DrainTimeoutOfWrongType", "UPDATE services SET drain_timeout_ms = '5m'", "drain_timeout_ms is \"5m\""},
    {"DrainThenOther", "UPDATE services SET drain_then = 2", "drain_then is 2"},
    {"UndoWithoutItsFlip", "UPDATE services SET undo_to = 0, undo_generation = NULL WHERE id = 5",
     "undo_generation is null, expected null if and only if undo_to is"},
    {"FlippedByNobody", "UPDATE services SET flipped_by_verb = 1, flipped_by_uid = NULL WHERE id = 5",
     "flipped_by_uid is null, expected null if and only if flipped_by_verb is"},
    {"BackendIdBeyondLimit", "UPDATE backends SET id = 4096 WHERE id = 0",
     "table backends, row 4096: id is 4096, expected an integer from 0 to 4095"},
    {"TwoBackendsOfOneId", kTwoBackendsOfOneId, "table backends, row 4095: id is 4095, expected another"},
    {"BackendOfNoService", "UPDATE backends SET service = 4 WHERE id = 0",
     "table backends, row 0: service is 4, expected the id of a service"},
    {"BackendOfAServiceBeyondLimit", "UPDATE backends SET service = 70000 WHERE id = 0", "service is 70000"},
    {"BackendSocketThatIsNone", "UPDATE backends SET socket = 'web-1' WHERE id = 0", "socket is \"web-1\""},
    {"TwoBackendsOfOneSocket", kTwoOfOneSocket,
     "socket is \"198.18.2.11:8080\", expected another socket in each row"},
    {"BackendRetiredOther", "UPDATE backends SET retired = 'yes' WHERE id = 0", "retired is \"yes\""},
    {"MembershipOfNoBackend", "INSERT INTO memberships VALUES (17, 0, 1, NULL)",
     "table memberships, row 1: backend is 17, expected the id of a backend"},
    {"MembershipOfColour2", "INSERT INTO memberships VALUES (0, 2, 1, NULL)", "colour is 2"},
    {"AdminStateOther", "INSERT INTO memberships VALUES (0, 0, 3, NULL)", "admin is 3"},
    {"WeightTooLarge", "INSERT INTO memberships VALUES (0, 0, 0, 1001)",
     "weight is 1001, expected an integer from 0 to 1000"},
    {"WeightNegative", "INSERT INTO memberships VALUES (0, 0, 0, -1)", "weight is -1"},
    {"TwoLocks", kTwoLocks, "table lock, row 0: id is 0, expected one row at most"},
    {"LockByNobody", "INSERT INTO lock VALUES (0, -1, 'a', '', 1, 0)", "uid is -1"},
    {"LockFromBefore1970", "INSERT INTO lock VALUES (0, 0, 'a', '', -5, 0)", "at_ms is -5"},
    {"GenerationNegative", "UPDATE meta SET value = -1 WHERE key = 'given_generation'",
     "table meta, row \"given_generation\": value is -1"},
    {"GenerationBeyondTheWord", "UPDATE meta SET value = 1 << 56 WHERE key = 'published_generation'",
     "row \"published_generation\": value is 72057594037927936"},
    {"NoGeneration", "DELETE FROM meta WHERE key = 'given_generation'",
     "table meta: there is no row \"given_generation\""},
    {"NoTable", "DROP TABLE memberships", "no such table: memberships"},
    {"NoColumn", "ALTER TABLE services DROP COLUMN drain_then", "no such column: drain_then"},
};
INSTANTIATE_TEST_SUITE_P(State, DamagedValue, testing::ValuesIn(kDamages),
                         [](const auto& info) { return std::string(info.param.name); });

class DamagedHistory : public testing::TestWithParam<Damage> {};

TEST_P(DamagedHistory, IsTold) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"),
          "DROP TRIGGER history_stays; INSERT INTO history (at_ms, generation, event, verb, changes) VALUES "
          "(1, 1, "
          "'intended', 'flip', '[]'); INSERT INTO history (intent, at_ms, generation, event) VALUES (1, 2, "
          "1, 'done')");
  run_sql(dir.file("teal.db"), GetParam().sql);
  auto state = State::open(dir.path());
  ASSERT_TRUE(state) << state.error();
  const auto history = state->history({});
  ASSERT_FALSE(history);
  EXPECT_NE(history.error().find(std::string("table history, row ") + GetParam().says), std::string::npos)
      << history.error();
}

constexpr Damage kHistoryDamages[] = {
    {"GenerationNegative", "UPDATE history SET generation = -1 WHERE id = 1", "1: generation is -1"},
    {"EventOther", "UPDATE history SET event = 'done' WHERE id = 1",
     "1: event is \"done\", expected \"intended\""},
    {"ResultOther", "UPDATE history SET event = 'vanished' WHERE id = 2",
     "1: event of the result is \"vanished\""},
    {"ChangesThatAreNoJson", "UPDATE history SET changes = '[{' WHERE id = 1",
     "1: changes is \"[{\", expected JSON"},
    {"UidBeyondLimit", "UPDATE history SET uid = 1 << 32 WHERE id = 1", "1: uid is 4294967296"},
    {"TimeOfWrongType", "UPDATE history SET at_ms = 'now' WHERE id = 1", "1: at_ms is \"now\""},
    {"DurationNegative", "UPDATE history SET duration_us = -1 WHERE id = 2",
     "1: duration_us of the result is -1"},
};
INSTANTIATE_TEST_SUITE_P(State, DamagedHistory, testing::ValuesIn(kHistoryDamages),
                         [](const auto& info) { return std::string(info.param.name); });

class DamagedRecord : public testing::TestWithParam<Damage> {};

TEST_P(DamagedRecord, IsToldWithRowAndValue) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(dir.file("teal.db"),
          std::string("INSERT INTO history (at_ms, generation, event, verb, changes, record) VALUES (1, 1, "
                      "'intended', 'drain', '[]', '") +
              GetParam().sql + "')");
  const auto open = State::open(dir.path())->open_intents();
  ASSERT_FALSE(open);
  EXPECT_NE(open.error().find(std::string("table history, row 1: record: ") + GetParam().says),
            std::string::npos)
      << open.error();
  EXPECT_NE(open.error().find("move "), std::string::npos) << open.error();
}

constexpr Damage kRecordDamages[] = {
    {"NotJson", "{", "it is not JSON"},
    {"NotAnObject", "[]", "it is an array of 0, expected an object"},
    {"NoVersion", R"({"services":[],"backends":[]})", "version is missing, expected an integer from 1 to 4"},
    {"AVersionOfTheFuture", R"({"version":5,"services":"other"})", "version is 5, expected an integer"},
    {"NoServices", R"({"version":1,"backends":[]})", "services is missing, expected an array"},
    {"ServiceIdBeyondLimit", R"({"version":1,"services":[{"id":1024}],"backends":[]})",
     "services[0].id is 1024, expected an integer from 0 to 1023"},
    {"ServiceIdThatIsHuge", R"({"version":1,"services":[{"id":18446744073709551615}],"backends":[]})",
     "services[0].id is 18446744073709551615"},
    {"TwoServicesOfOneId",
     R"({"version":1,"services":[)"
     R"({"id":7,"active":"blue","previous":null,"flip_generation":0,"flipped_at_ms":0,)"
     R"("drain_timeout_ms":null,"drain_then":null},{"id":7}],"backends":[]})",
     "services[1].id is 7, expected another one in each object"},
    {"ColourOther", R"({"version":1,"services":[{"id":0,"active":"red"}],"backends":[]})",
     R"(services[0].active is "red", expected "blue" or "green")"},
    {"ColourOfWrongType", R"({"version":1,"services":[{"id":0,"active":7}],"backends":[]})",
     "services[0].active is 7"},
    {"DrainTimeoutNegative",
     R"({"version":1,"services":[{"id":0,"active":"blue","previous":null,"flip_generation":0,)"
     R"("flipped_at_ms":0,"drain_timeout_ms":-1}],"backends":[]})",
     "services[0].drain_timeout_ms is -1"},
    {"BackendIdBeyondLimit", R"({"version":1,"services":[],"backends":[{"id":4096}]})",
     "backends[0].id is 4096"},
    {"ThreePools", R"({"version":1,"services":[],"backends":[{"id":1,"pools":[1,2,3]}]})",
     "backends[0].pools is an array of 3, expected an array of 2 objects"},
    {"AdminStateOther",
     R"({"version":1,"services":[],"backends":[{"id":1,"pools":[{"admin":"gone"},{"admin":"gone"}]}]})",
     R"(backends[0].pools[0].admin is "gone", expected "ready" or "drain" or "maint")"},
    {"WeightTooLarge",
     R"({"version":1,"services":[],"backends":[{"id":1,"pools":[{"admin":"ready","weight":1001},{}]}]})",
     "backends[0].pools[0].weight is 1001"},
};
INSTANTIATE_TEST_SUITE_P(State, DamagedRecord, testing::ValuesIn(kRecordDamages),
                         [](const auto& info) { return std::string(info.param.name); });

// JSON takes nothing but UTF-8: an answer with such a reason in it could not be made.
TEST(DamagedState, GivesProseAsUtf8) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path()));
  run_sql(
      dir.file("teal.db"),
      "INSERT INTO history (at_ms, generation, event, verb, changes, reason, user) VALUES (1, 1, 'intended', "
      "'flip', '[]', CAST(x'c3bc20ff20eda080f0' AS TEXT), CAST(x'fc' AS TEXT))");
  const auto history = State::open(dir.path())->history({});
  ASSERT_TRUE(history) << history.error();
  EXPECT_EQ(history->front().reason, "\xc3\xbc ? ????");
  EXPECT_EQ(history->front().actor.user, "?");
}

void expect_refused(const std::string& dir, std::initializer_list<const char*> says) {
  const auto state = State::open(dir);
  ASSERT_FALSE(state) << "it was opened";
  for (const char* text : says) EXPECT_NE(state.error().find(text), std::string::npos) << state.error();
}

TEST(DamagedState, RefusesWhatIsNoDatabase) {
  const TempDir dir;
  std::ofstream(dir.file("teal.db"))
      << "this is no database, and longer than a header would have to be: it goes on and on and on and on";
  expect_refused(dir.path(), {"teal.db: ", "not a database", "move ", "taken from the segment"});
}

TEST(DamagedState, RefusesAnotherProgramsDatabase) {
  const TempDir dir;
  run_sql(dir.file("teal.db"), "CREATE TABLE meta (a)");
  expect_refused(dir.path(), {"table meta already exists", "move "});
}

TEST(DamagedState, RefusesAFileThatWasCutShort) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->save(some_inventory()));
  ASSERT_EQ(::truncate(dir.file("teal.db").c_str(), 8192), 0);
  expect_refused(dir.path(), {"teal.db: ", "malformed", "move "});
}

// The list of free pages is longer than it is: it is met when a page is wanted, which is too late.
TEST(DamagedState, ChecksWhatNoQueryMeets) {
  const TempDir dir;
  ASSERT_TRUE(State::open(dir.path())->save(some_inventory()));
  std::fstream file(dir.file("teal.db"), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(36);  // "total number of freelist pages" (SQLite's file format, 1.3)
  file.write("\0\0\0\x09", 4);
  file.close();
  expect_refused(dir.path(), {"teal.db: the file is damaged: ", "reelist", "move "});
}

// Written over in one page each: told at open, by load(), or not used by them; never a crash.
TEST(DamagedState, IsNeverActedOn) {
  const TempDir dir;
  {
    auto state = State::open(dir.path());
    ASSERT_TRUE(state->save(some_inventory()));
    ASSERT_TRUE(state->finish(*state->intend({10, "flip", "[]", "release", {}}), Outcome::kDone,
                              kFinishedAtMs, 1, "", {}));
  }
  std::ifstream file(dir.file("teal.db"), std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GE(whole.size(), 16384u);
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    const size_t bytes = 1 + random() % 64, at = random() % (damaged.size() - bytes);
    for (size_t i = 0; i < bytes; ++i) damaged[at + i] = static_cast<char>(random());
    std::filesystem::remove(dir.file("teal.db-wal"));
    std::ofstream(dir.file("teal.db"), std::ios::binary) << damaged;
    auto state = State::open(dir.path());
    const auto loaded = state ? state->load() : tl::unexpected(state.error());
    if (state) (void)state->history({});
    if (loaded) continue;
    ++refused;
    ASSERT_EQ(loaded.error().find(dir.file("teal.db: ")), 0u) << loaded.error();
  }
  EXPECT_GT(refused, 10);
}

// The database is lost, its write-ahead log is not: the log's content belongs to another file.
TEST(DamagedState, MovedAsideWithoutItsLogItBeginsAnew) {
  const TempDir dir, aside;
  ASSERT_TRUE(State::open(dir.path()));
  auto state = State::open(dir.path());
  ASSERT_TRUE(state->save(some_inventory()));
  std::filesystem::copy(dir.file("teal.db-wal"), aside.file("teal.db-wal"));
  state = State::open(aside.path());
  ASSERT_TRUE(state) << state.error();
  EXPECT_TRUE(state->load()->services.empty());
}

TEST(DamagedState, TellsOfDirectoriesThatCannotBe) {
  const TempDir dir;
  std::ofstream(dir.file("file")) << "x";
  expect_refused(dir.file("file"), {"file: cannot make the state directory: Not a directory", "--state-dir"});
  expect_refused(dir.file("file/state"), {"cannot make the state directory", "--state-dir"});
  expect_refused("/proc/nothing/state",
                 {"/proc/nothing/state: cannot make the state directory", "--state-dir"});
  std::filesystem::create_directories(dir.file("state/teal.db"));
  expect_refused(dir.file("state"), {"teal.db: cannot open the state: Is a directory"});
  std::filesystem::remove(dir.file("state/teal.db"));
  ASSERT_EQ(::mkfifo(dir.file("state/teal.db").c_str(), 0600), 0);
  expect_refused(dir.file("state"), {"teal.db: cannot open the state: it is not a regular file"});
}

// Root may open any file, so the work runs in a thread with the file rights of nobody.
void as_nobody(const std::function<void()>& work) {
  std::thread([&] {
    if (::geteuid() == 0) ::setfsuid(65534);
    work();
  }).join();
}

TEST(DamagedState, TellsOfMissingRights) {
  const TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  ASSERT_TRUE(State::open(dir.file("state")));
  const std::string state = dir.file("state");
  const auto refused = [&](const char* says) {
    as_nobody([&] {
      expect_refused(state, {"teal.db: cannot open the state: ", says, "check owner and mode"});
    });
  };
  ASSERT_EQ(::chmod(state.c_str(), 0000), 0);
  refused("Permission denied");
  ASSERT_EQ(::chmod((state + "/teal.db").c_str(), 0444), 0);
  ASSERT_EQ(::chmod(state.c_str(), ::geteuid() == 0 ? 0777 : 0700), 0);
  refused("Permission denied");
  ASSERT_EQ(::chmod((state + "/teal.db").c_str(), 0666), 0);
  ASSERT_EQ(::chmod(state.c_str(), 0555), 0);
  refused("its directory: Permission denied");
  ASSERT_EQ(::chmod(state.c_str(), 0700), 0);
}

// On a disk of its own, in a mount namespace that ends with the thread.
TEST(DamagedState, AFullDiskLosesNothingThatWasCommitted) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting a small disk wants root";
  const TempDir dir;
  std::thread([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("small", dir.path().c_str(), "tmpfs", 0, "size=512k") != 0) {
      std::printf("no disk could be mounted: %s\n", std::strerror(errno));
      ASSERT_EQ(errno, EPERM);
      return;
    }
    auto state = State::open(dir.path());
    ASSERT_TRUE(state) << state.error();
    ASSERT_TRUE(state->save(some_inventory()));
    std::ofstream filler(dir.file("filler"));
    while (filler.write(std::string(4096, 'x').c_str(), 4096).flush()) continue;
    const Intent intent{10, "flip", "[\"" + std::string(50'000, 'x') + "\"]", "", {}};
    const auto refused = state->intend(intent);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().find("teal.db: cannot"), std::string::npos) << refused.error();
    EXPECT_NE(refused.error().find("make room on its disk"), std::string::npos) << refused.error();
    EXPECT_TRUE(state->open_intents()->empty());
    filler.close();  // else it would keep its room
    std::filesystem::remove(dir.file("filler"));
    EXPECT_TRUE(state->intend(intent)) << "there is room again";
    state = State::open(dir.path());
    ASSERT_TRUE(state) << state.error();
    EXPECT_EQ(state->load()->services, some_inventory().services);
    EXPECT_EQ(state->open_intents()->size(), 1u);
  }).join();
}

}  // namespace
}  // namespace teal
