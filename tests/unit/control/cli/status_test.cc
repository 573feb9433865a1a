// SPDX-License-Identifier: Apache-2.0
//
// teal status, and its --watch.
#include <algorithm>
#include <sstream>

#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

class StatusTest : public CliTest {};

TEST_F(StatusTest, StatusShowsFlowsByColourAndBackendAndWhatDrains) {
  const auto result = teal({"status"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "generation 12; 2 workers, 223 of 1000000 flow entries\n"
            "new flows are dropped, as no backend of the active colour has a next hop:\n"
            "  service-a\n"
            "draining: service-a blue, 198 flows left on 2 backends; 4m12s to the deadline,\n"
            "  then wait; done in about 33s\n"
            "drift: service-a: this drain is 1h, the file says 5m\n"
            "\n"
            "SERVICE    COLOUR  BACKEND              FLOWS  CLOSING  BEGUN  STATE\n"
            "service-a  blue    2 backends             198        3   1234  draining\n"
            "                     198.18.2.11:8080     100        0\n"
            "                     198.18.2.12:8080      98        0\n"
            "           green   1 backend               20        3     20  active\n"
            "                     198.18.2.21:8080      20        0         no next hop\n"
            "service-b  blue    1 backend                5        3      7  active\n"
            "                     [fd18:2::11]:8080      5        0\n"
            "           green   1 backend                0        3      0\n"
            "                     [fd18:2::21]:8080      0        0\n");
}

TEST_F(StatusTest, StatusBeginsWithWhatAnOperatorHasToKnow) {
  auto answer = services_answer();
  answer["lock"] = lock_answer();
  answer["config"]["file_differs"] = true;
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status"}).out,
                       "flow entries\n"
                       "locked by alice since 2026-11-23 05:00:00Z: release freeze; see teal unlock\n"
                       "the config file has changed since it was loaded; see teal reload --dry-run\n"
                       "new flows are dropped,"));
  EXPECT_TRUE(contains(teal_on_terminal({"status"}).out, "\033[33mlocked by alice"));
}

TEST_F(StatusTest, StatusSaysWhatTheDiskDoesNotHave) {
  auto answer = services_answer();
  answer["storage"] = {{"unrecorded", 2}, {"error", "the disk is full"}};
  daemon_->answer("GET /v1/services", answer);
  const auto page = teal({"status"}).out;
  EXPECT_TRUE(contains(page, "2 changes not on disk, every change but a rollback and an unlock is refused:"))
      << page;
  answer["storage"]["unrecorded"] = 1;
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status"}).out, "1 change not on disk"));
}

TEST_F(StatusTest, StatusSaysWhyTheFileIsNotInForceAndWhatWaitsForARestart) {
  auto answer = services_answer();
  answer["config"]["file_differs"] = true;
  answer["config"]["held_back"] = "alice locked all changes";
  answer["config"]["restart"] = {
      "[dataplane] idle: configured spin, running adaptive: restart teal-dataplane"};
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status"}).out,
                       "flow entries\n"
                       "the start did not take over the config file, and teald runs on the latest good\n"
                       "  config: alice locked all changes; see teal reload --dry-run\n"
                       "not in force: [dataplane] idle: configured spin, running adaptive: restart\n"
                       "  teal-dataplane\n"
                       "new flows are dropped,"))
      << teal({"status"}).out;
}

TEST_F(StatusTest, StatusShowsWhatIsRetiredAndWhatOperatorsSet) {
  auto answer = services_answer();
  auto& backends = answer["services"][0]["colours"]["blue"]["backends"];
  backends[0]["state"] = "maint";
  backends[0]["weight"] = 0;  // in force
  backends[1]["weight"] = 5;
  backends.push_back({{"address", "198.18.2.13:8080"},
                      {"id", 9},
                      {"weight", 0},
                      {"flows", 7},
                      {"closing", 0},
                      {"retired", true},
                      {"next_hop", "resolved"}});
  answer["services"][0]["draining"]["state"] = "overdue";
  answer["services"][0]["drift"].push_back("blue 198.18.2.12:8080: weight is 5, the file says 1");
  answer["retired_services"] = {
      {{"name", "service-old"}, {"vip", "198.18.0.11:80"}, {"protocol", "tcp"}, {"flows", 12}}};
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal({"status"}).out;
  for (const char* line : {"service-a  blue    2 backends             198        3   1234  overdue\n",
                           "198.18.2.11:8080     100        0         maint\n",
                           "198.18.2.12:8080      98        0         weight 5 (file 1)\n",
                           "198.18.2.13:8080       7        0         retired\n",
                           "198 flows left on 2 backends; the deadline has\n  passed, then wait;",
                           "retired: service-old 198.18.0.11:80 tcp, 12 flows left\n",
                           "drift: service-a: blue 198.18.2.12:8080: weight is 5, the file says 1\n"})
    EXPECT_TRUE(contains(text, line)) << line << "\nin\n" << text;
  expect_80_columns(text);
}

TEST_F(StatusTest, SaysThePhaseOfAServiceThatIsNamed) {
  json answer = services_answer();
  answer["services"][0]["phase"] = "draining";
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status", "service-a"}).out, "active green, previously blue, draining\n"));
}

TEST_F(StatusTest, StatusOfOneServiceOnly) {
  const auto result = teal({"status", "service-a"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(contains(result.out,
                       "service-a: 198.18.0.10:80 tcp, active green, previously blue\n"
                       "  flipped at 2026-11-23 05:30:00Z in generation 11\n"
                       "  drains for 5m, then wait; udp stick\n"));
  EXPECT_FALSE(contains(result.out, "service-b"));
  EXPECT_EQ(json::parse(teal({"status", "service-b", "-o", "json"}).out)["services"].size(), 1u);

  const auto unknown = teal({"status", "service-x"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_EQ(unknown.err,
            "teal: unknown service \"service-x\"; the services are: service-a, service-b\n"
            "hint: did you mean \"service-a\"?\n");
}

TEST_F(StatusTest, WatchPrintsPagesAndOutlivesARestartOfTheDaemon) {
  pauses_ = 3;
  const auto text = teal({"status", "--watch", "--interval", "10ms"}).out;
  size_t pages = 0;
  for (size_t at = 0; (at = text.find("generation 12;", at)) != std::string::npos; ++at) ++pages;
  EXPECT_EQ(pages, 3u);
  EXPECT_FALSE(contains(text, "\033")) << "not a terminal";
  EXPECT_TRUE(contains(text, "service-a       blue      at the next refresh       green\n"));
  EXPECT_TRUE(contains(text, "service-a       blue          no new flows          green\n"));

  pauses_ = 100;
  const auto counted = teal({"status", "--watch", "--count", "2"}).out;
  EXPECT_NE(counted.find("generation 12;"), counted.rfind("generation 12;"));

  pauses_ = 2;
  std::istringstream lines(teal({"status", "-w", "-o", "json"}).out);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(json::parse(line), services_answer());

  pauses_ = 2;
  at_pause_ = [this] { daemon_.reset(); };
  const auto alone = teal({"status", "--watch"});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_TRUE(contains(alone.out, "no process listens"));
  EXPECT_TRUE(contains(alone.out, "trying\nagain\n") || contains(alone.out, "trying again\n"));
}

TEST_F(StatusTest, WatchWritesOverThePageBeforeWithoutClearingIt) {
  pauses_ = 2;
  const auto text = teal_on_terminal({"status", "--watch"}).out;
  const std::string first = "\033[2J\033[H", next = "\033[J\033[H";
  EXPECT_TRUE(text.starts_with(first));
  EXPECT_EQ(text.rfind("\033[2J"), 0u) << "cleared once";
  EXPECT_TRUE(contains(text, next));
  EXPECT_TRUE(text.ends_with("\033[J"));
  EXPECT_TRUE(contains(text, "service-b\033[K") || contains(text, "\033[K\nservice-b"))
      << "each line's rest is cleared";
}

TEST_F(StatusTest, WatchOfOneServiceCountsTheLinesThatDoNotFitTheScreen) {
  auto answer = services_answer();
  auto& backends = answer["services"][0]["colours"]["blue"]["backends"];
  for (int i = 0; i < 30; ++i) backends.push_back(backends[0]);
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal_on_terminal({"status", "service-a", "--watch"}).out;
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23);
  EXPECT_TRUE(contains(text, " more lines\033[K\n"));
}

// Many services, of which the last one drains and is overdue.
json many_services(int others) {
  auto answer = services_answer();
  const auto overdue = answer["services"][0];
  answer["services"].erase(0);
  for (int i = 0; i < others; ++i) {
    auto service = answer["services"][0];
    service["name"] = "more-" + std::to_string(i);
    answer["services"].push_back(service);
  }
  answer["services"].push_back(overdue);
  answer["services"].back()["draining"]["state"] = "overdue";
  return answer;
}

TEST_F(StatusTest, StatusShowsTroubleFirst) {
  daemon_->answer("GET /v1/services", many_services(3));
  const auto text = teal({"status"}).out;
  EXPECT_LT(text.find("draining: service-a"), text.find("SERVICE"));
  EXPECT_LT(text.find("\nservice-a"), text.find("\nservice-b"));
  EXPECT_TRUE(contains(text, "\nmore-2"));
}

TEST_F(StatusTest, StatusFitsATerminalAndCountsTheServicesThatAreWell) {
  daemon_->answer("GET /v1/services", many_services(202));
  pauses_ = 1;
  for (const auto& words : {std::vector<std::string>{"status"}, {"status", "--watch"}}) {
    const auto text = teal_on_terminal(words).out;
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23) << text;
    EXPECT_TRUE(contains(text, "draining: service-a blue, 198 flows left")) << text;
    EXPECT_TRUE(contains(text, "drift: service-a:")) << text;
    EXPECT_TRUE(contains(text, " of 204 services; teal status SERVICE shows any other")) << text;
  }
  const auto piped = teal({"status"}).out;
  EXPECT_TRUE(contains(piped, "\nmore-201")) << "a pipe gets all of them";
  EXPECT_GT(std::count(piped.begin(), piped.end(), '\n'), 400);
}

TEST_F(StatusTest, StatusWithManyBackendsKeepsTheUnwellOnes) {
  auto answer = many_services(30);
  answer["services"].back()["colours"]["green"]["backends"][0]["next_hop_problem"] = "no route";
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal({"status"}).out;
  EXPECT_TRUE(contains(text, "198.18.2.21:8080     20        0         no route\n")) << text;
  EXPECT_FALSE(contains(text, "198.18.2.11:8080"));
}

TEST_F(StatusTest, TheFirstLineFits80Columns) {
  auto answer = services_answer();
  answer["generation"] = 98765;
  answer["revision"] = 98765;
  answer["dataplane"]["adopted_generation"] = 98765;
  answer["dataplane"]["workers"] = 32;
  answer["dataplane"]["flow_entries"] = 7654321;
  answer["dataplane"]["flow_capacity"] = 16777216;
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal({"status"}).out;
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "generation 98765, revision 98765; 32 workers, 7654321 of 16777216 flow entries");
}

// --- ports ---

json port(const char* name, uint64_t missed, uint64_t lost_last_minute) {
  return {{"name", name},
          {"interface", name},
          {"driver", "net_ixgbe"},
          {"owned_by_dpdk", true},
          {"link", "up"},
          {"speed_mbps", 10000},
          {"queues", 2},
          {"spreads", true},
          {"losses", {{"rx_missed", missed}, {"rx_no_buffers", 0}, {"rx_errors", 0}, {"tx_errors", 0}}},
          {"lost_last_minute", lost_last_minute}};
}

TEST_F(StatusTest, StatusShowsWhatAPortIsAndOnlyLossesThatThereAre) {
  auto answer = services_answer();
  answer["dataplane"]["ports"] = {port("front", 0, 0), port("back", 1200, 0)};
  auto& front = answer["dataplane"]["ports"][0];
  front["spreads"] = front["owned_by_dpdk"] = false;
  front["interface"] = "eth1";
  front["speed_mbps"] = 0;
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal({"status"}).out;
  EXPECT_TRUE(
      text.ends_with("\n\n"
                     "PORT   INTERFACE   LINK  MBIT/S  DRIVER         QUEUES  LOST\n"
                     "front  eth1        up            net_ixgbe  2 (no RSS)\n"
                     "back   back (TAP)  up     10000  net_ixgbe           2  1200 rx_missed\n"))
      << text;
  EXPECT_FALSE(contains(text, "loses packets")) << "the losses are old";
  EXPECT_FALSE(contains(teal({"status", "service-a"}).out, "net_ixgbe")) << "a service has no ports";
  expect_80_columns(text);
}

TEST_F(StatusTest, LossesThatStillGrowAreTroubleAndComeFirst) {
  auto answer = services_answer();
  answer["dataplane"]["ports"] = {port("front", 0, 0), port("back", 1200, 37)};
  daemon_->answer("GET /v1/services", answer);
  for (const auto& words : {std::vector<std::string>{"status"}, {"status", "service-b"}}) {
    const auto text = teal(words).out;
    EXPECT_TRUE(
        contains(text, "flow entries\nport back loses packets: 37 in the last minute; see teal stats\n"))
        << text;
  }
}

// They go on, and grow, while no dataplane runs.
TEST_F(StatusTest, StatusShowsWhatTheSteeringProgramDrops) {
  auto answer = services_answer();
  answer["dataplane"]["running"] = false;
  answer["dataplane"]["steering"] = {{"losses", {{"no_socket", 0}}}, {"lost_last_minute", 0}};
  daemon_->answer("GET /v1/services", answer);
  EXPECT_FALSE(contains(teal({"status"}).out, "steering")) << "only losses that there are";
  answer["dataplane"]["steering"] = {{"losses", {{"no_socket", 4012}}}, {"lost_last_minute", 0}};
  daemon_->answer("GET /v1/services", answer);
  const auto old = teal({"status"}).out;
  EXPECT_TRUE(contains(old, "\nsteering program")) << old;
  EXPECT_TRUE(old.ends_with("  4012 no_socket\n")) << old;
  EXPECT_FALSE(contains(old, "the steering program drops packets"));
  answer["dataplane"]["steering"]["lost_last_minute"] = 12;
  daemon_->answer("GET /v1/services", answer);
  for (const auto& words : {std::vector<std::string>{"status"}, {"status", "service-b"}}) {
    const auto text = teal(words).out;
    EXPECT_TRUE(
        contains(text, "the steering program drops packets: 12 in the last minute; no dataplane has a"))
        << text;
    expect_80_columns(text);
  }
}

TEST_F(StatusTest, PortsFitATerminalWithManyServices) {
  auto answer = many_services(202);
  answer["dataplane"]["ports"] = {port("front", 0, 0), port("back", 1200, 37)};
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal_on_terminal({"status"}).out;
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23) << text;
  EXPECT_TRUE(contains(text, "net_ixgbe")) << text;
  EXPECT_TRUE(contains(text, "draining: service-a blue, 198 flows left")) << text;
  answer["dataplane"]["ports"] = json::array();
  for (int i = 0; i < 16; ++i) answer["dataplane"]["ports"].push_back(port("port", 0, 0));
  daemon_->answer("GET /v1/services", answer);
  const auto many = teal_on_terminal({"status"}).out;
  EXPECT_LE(std::count(many.begin(), many.end(), '\n'), 23) << many;
  EXPECT_TRUE(contains(many, "16 ports; teal stats shows them\n")) << many;
}

// --- many drains ---

TEST_F(StatusTest, ManyDrainsThatDoNotFitATerminalAreCountedAndTheLateOnesShown) {
  auto answer = services_answer();
  const auto draining = answer["services"][0];
  answer["services"] = json::array();
  for (int i = 0; i < 203; ++i) {
    answer["services"].push_back(draining);
    answer["services"].back()["name"] = "service-" + std::to_string(i);
  }
  answer["services"][170]["draining"]["state"] = "overdue";
  daemon_->answer("GET /v1/services", answer);
  pauses_ = 1;
  for (const auto& words : {std::vector<std::string>{"status"}, {"status", "--watch"}}) {
    const auto text = teal_on_terminal(words).out;
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23) << text;
    EXPECT_TRUE(contains(text, "203 services drain, 40194 flows left, 1 drain past the deadline")) << text;
    EXPECT_TRUE(contains(text, "draining: service-170 blue, 198 flows left")) << text;
  }
  EXPECT_TRUE(contains(teal({"status"}).out, "draining: service-202 blue")) << "a pipe gets all of them";
}

// --- the file ---

TEST_F(StatusTest, StatusSaysThatAReloadRefusedTheFileAndWhatIsInForce) {
  auto answer = services_answer();
  answer["config"]["file_differs"] = true;
  answer["config"]["refused"] = {{"at", "2026-11-23T06:00:00.000Z"},
                                 {"errors", {"teal.toml:12: vip: expected a port", "teal.toml:13: unknown"}}};
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal({"status"}).out;
  EXPECT_TRUE(contains(text,
                       "flow entries\n"
                       "the config file was refused at 2026-11-23 06:00:00Z: teal.toml:12: vip:\n"
                       "  expected a port (and 1 more error); still in force is the config of 2026-11-23\n"
                       "  05:00:00Z; see teal reload --dry-run\n"
                       "new flows are dropped,"))
      << text;
}

TEST_F(StatusTest, SaysFirstThatAnActiveColourIsOutOfReach) {
  json all = services_answer();
  json& service = all["services"][0];
  for (auto& backend : service["colours"][service["active"].get<std::string>()]["backends"])
    backend["next_hop"] = "unresolved";
  daemon_->answer("GET /v1/services", all);
  const auto page = teal({"status"}).out;
  EXPECT_TRUE(contains(page, "has a next hop:\n  service-a\n")) << page;
  all["dataplane"]["running"] = false;
  daemon_->answer("GET /v1/services", all);
  EXPECT_FALSE(contains(teal({"status"}).out, "new flows are dropped")) << "the first line says why";
}

}  // namespace
}  // namespace teal::cli
