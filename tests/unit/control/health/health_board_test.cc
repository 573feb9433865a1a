// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_board.h"

#include <gtest/gtest.h>

#include "control/health/health_file.h"
#include "tests/unit/control/health/checked_shop.h"
#include "tests/unit/control/temp_dir.h"

#include <fstream>

namespace teal {
namespace {

using namespace std::chrono_literals;

TEST(HealthBoard, ListsEachCheckedBackendOnce) {
  Config config = checked_shop();
  config.services[0].pools[1].push_back(config.services[0].pools[0][0]);  // in both colours
  const CheckedShop shop(config);
  const CheckList list = shop.board.list();
  std::string lines;
  for (const CheckOrder& order : list.checks)
    lines += order.service + " " + order.colour + " " + to_string(order.address) + " " +
             name_of(order.check.kind) + "\n";
  EXPECT_EQ(lines,
            "service-a both 198.18.2.11:8080 tcp\n"
            "service-a blue 198.18.2.12:8080 tcp\n"
            "service-a green 198.18.2.21:8080 tcp\n"
            "service-c blue 198.18.2.13:8080 http\n"
            "service-c green 198.18.2.23:8080 http\n");
  EXPECT_EQ(shop.board.of(3), nullptr) << "service-b has no check";
}

TEST(HealthBoard, ABackendIsUncheckedUntilItsFirstReport) {
  CheckedShop shop;
  EXPECT_EQ(shop.of("198.18.2.11:8080").health, Health::kUnchecked);
  EXPECT_FALSE(shop.board.is_down(shop.id("198.18.2.11:8080")));
  EXPECT_FALSE(shop.board.list().checks[0].up.has_value());
  ASSERT_TRUE(shop.report("198.18.2.11:8080", true));
  EXPECT_EQ(shop.of("198.18.2.11:8080").health, Health::kUp);
  EXPECT_TRUE(shop.board.take_turns().empty()) << "this is no news";
}

TEST(HealthBoard, KeepsReasonsAndTimesAndTellsTurns) {
  CheckedShop shop;
  shop.report("198.18.2.11:8080", true);
  shop.clock.pass(5s);
  shop.report("198.18.2.11:8080", false, "connection refused");
  shop.clock.pass(5s);
  shop.report("198.18.2.11:8080", false, "no answer within 1 s");
  const BackendHealth& known = shop.of("198.18.2.11:8080");
  EXPECT_EQ(known.health, Health::kDown);
  EXPECT_EQ(known.reason, "no answer within 1 s");
  EXPECT_EQ(known.since_ms, shop.clock.wall_ms() - 5000) << "since it is down, not since the reason";
  EXPECT_FALSE(known.rose_at);
  shop.report("198.18.2.11:8080", true);
  EXPECT_EQ(known.rose_at, shop.clock.now());
  const auto turns = shop.board.take_turns();
  ASSERT_EQ(turns.size(), 2u);
  EXPECT_EQ(turns[0].address + turns[0].service + turns[0].reason,
            "198.18.2.11:8080service-aconnection refused");
  EXPECT_FALSE(turns[0].up);
  EXPECT_TRUE(turns[1].up);
  EXPECT_TRUE(shop.board.take_turns().empty());
}

TEST(HealthBoard, AReportOfAnotherListIsIgnored) {
  CheckedShop shop;
  const HealthReport report{.revision = shop.board.list().revision + 1, .backend = 0, .up = false};
  EXPECT_FALSE(shop.board.take(report));
  EXPECT_FALSE(shop.board.take({.revision = shop.board.list().revision, .backend = 3, .up = false}))
      << "service-b has no check";
  EXPECT_FALSE(shop.board.take({.revision = shop.board.list().revision, .backend = 4000, .up = false}));
  EXPECT_EQ(shop.of("198.18.2.11:8080").health, Health::kUnchecked);
}

TEST(HealthBoard, AReloadKeepsTheHealthOfWhatStays) {
  CheckedShop shop;
  shop.report("198.18.2.11:8080", false, "connection refused");
  shop.report("198.18.2.12:8080", false, "connection refused");
  const uint64_t revision = shop.board.list().revision;
  EXPECT_FALSE(shop.board.follow(shop.catalogue)) << "nothing has changed";
  Config after = checked_shop();
  after.services[0].pools[0].erase(after.services[0].pools[0].begin() + 1);  // .12 leaves
  after.services[0].check->interval = 5s;
  after.services[2].check.reset();
  Inventory inventory = renumber(shop.catalogue.inventory(), after)->inventory;
  shop.catalogue.replace(after, inventory);
  EXPECT_TRUE(shop.board.follow(shop.catalogue));
  EXPECT_GT(shop.board.list().revision, revision);
  EXPECT_EQ(shop.of("198.18.2.11:8080").health, Health::kDown) << "another interval is no reason to forget";
  EXPECT_EQ(shop.board.list().checks[0].up, false) << "the prober hears it";
  EXPECT_EQ(shop.board.checked(), 2u);
  // .12 comes back: what was known of it is out of date.
  shop.catalogue.replace(checked_shop(), renumber(inventory, checked_shop())->inventory);
  EXPECT_TRUE(shop.board.follow(shop.catalogue));
  EXPECT_EQ(shop.of("198.18.2.12:8080").health, Health::kUnchecked);
}

TEST(HealthBoard, ASilentProberLeavesTheLastKnownHealth) {
  CheckedShop shop;
  EXPECT_EQ(shop.board.unknown_since_ms(), 0) << "there was never one";
  shop.board.prober_came();
  shop.report("198.18.2.11:8080", false, "connection refused");
  EXPECT_EQ(shop.board.unknown_since_ms(), std::nullopt);
  shop.clock.pass(2999ms);
  EXPECT_TRUE(shop.board.is_fresh());
  shop.board.prober_spoke();
  const int64_t heard_ms = shop.clock.wall_ms();
  shop.clock.pass(3s);
  EXPECT_FALSE(shop.board.is_fresh());
  EXPECT_EQ(shop.board.unknown_since_ms(), heard_ms);
  EXPECT_EQ(shop.of("198.18.2.11:8080").health, Health::kDown);
  shop.board.prober_spoke();
  EXPECT_TRUE(shop.board.is_fresh());
  shop.board.prober_left();
  EXPECT_FALSE(shop.board.is_fresh());
}

TEST(HealthBoard, ARestartKeepsWhatWasKnown) {
  CheckedShop before;
  before.board.prober_came();
  before.report("198.18.2.11:8080", false, "connection refused");
  before.report("198.18.2.12:8080", true);
  before.report("198.18.2.13:8080", false, "HTTP 503, expected 200 to 399");
  before.clock.pass(2s);
  before.report("198.18.2.13:8080", true);
  before.clock.pass(1s);
  const auto memory = parse_health(health_text(before.board.memory()));
  ASSERT_TRUE(memory) << memory.error();
  EXPECT_EQ(memory->backends, before.board.memory().backends);

  CheckedShop shop;
  shop.clock.pass(10s);
  HealthBoard board(shop.clock);
  board.remember(*memory);
  board.follow(shop.catalogue);
  const BackendHealth& down = *board.of(shop.id("198.18.2.11:8080"));
  EXPECT_EQ(down.health, Health::kDown);
  EXPECT_EQ(down.reason, "connection refused");
  EXPECT_EQ(down.since_ms, before.clock.wall_ms() - 3000);
  EXPECT_EQ(board.of(shop.id("198.18.2.12:8080"))->health, Health::kUp);
  EXPECT_EQ(board.of(shop.id("198.18.2.21:8080"))->health, Health::kUnchecked);
  EXPECT_EQ(*board.of(shop.id("198.18.2.13:8080"))->rose_at, shop.clock.now() - 8s) << "a slow start goes on";
  EXPECT_EQ(board.unknown_since_ms(), before.clock.wall_ms() - 1000 - 2000) << "the prober's last word";
  EXPECT_EQ(board.list().checks[0].up, false);
}

TEST(HealthFile, IsReplacedAtOnceAndReadBack) {
  const TempDir dir;
  EXPECT_TRUE(read_health_file(dir.path())->backends.empty()) << "no file: nothing is known";
  HealthMemory memory{.backends = {{{"web", "198.18.2.11:8080"}, {false, "a \"reason\"", 17, 0}}},
                      .heard_ms = 5};
  ASSERT_TRUE(write_health_file(dir.path(), health_text(memory)));
  EXPECT_EQ(read_health_file(dir.path())->backends, memory.backends);
  EXPECT_EQ(read_health_file(dir.path())->heard_ms, 5);
  EXPECT_FALSE(write_health_file(dir.path() + "/none", "{}"));
}

TEST(HealthFile, ADamagedFileIsAnErrorAndNotAGuess) {
  const TempDir dir;
  const std::string good =
      health_text({.backends = {{{"web", "198.18.2.11:8080"}, {false, "", 17, 0}}}, .heard_ms = 5});
  for (size_t length = 0; length + 2 < good.size(); ++length)
    EXPECT_FALSE(parse_health(good.substr(0, length)));
  const std::pair<const char*, const char*> mistakes[] = {
      {"\"version\":1", "\"version\":2"},          {"\"up\":false", "\"up\":0"},
      {"\"since_ms\":17", "\"since_ms\":-17"},     {"\"heard_ms\":5", "\"heard_ms\":1e99"},
      {"\"service\":\"web\"", "\"service\":null"}, {"\"since_ms\":17", "\"since_ms\":18446744073709551615"}};
  for (const auto& [from, to] : mistakes) {
    std::string text = good;
    text.replace(text.find(from), std::string(from).size(), to);
    EXPECT_FALSE(parse_health(text)) << text;
    std::ofstream(dir.file("health.json")) << text;
    EXPECT_FALSE(read_health_file(dir.path()));
  }
}

}  // namespace
}  // namespace teal
