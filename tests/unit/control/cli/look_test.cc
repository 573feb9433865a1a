// SPDX-License-Identifier: Apache-2.0
//
// The verbs that show.
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "control/cli/terminal/table.h"
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

TEST_F(CliTest, ListAsksForASummaryAndShowsServices) {
  const auto result = teal({"list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(daemon_->last_request(), "GET /v1/services?view=summary");
  EXPECT_EQ(result.out,
            "SERVICE    VIP              PROTOCOL  ACTIVE  BLUE  GREEN  GROUPS\n"
            "service-a  198.18.0.10:80   tcp       green      2      1  shop\n"
            "service-b  [fd18:0::10]:80  tcp       blue       1      1  shop\n");
  auto locked = summary_answer();
  locked["lock"] = lock_answer();
  daemon_->answer("GET /v1/services?view=summary", locked);
  EXPECT_TRUE(contains(teal({"list"}).out, "locked by alice since 2026-11-23 05:00:00Z: release freeze\n"));
}

TEST_F(CliTest, EveryTableKeepsWithin80ColumnsWithTheLongestNames) {
  auto answer = services_answer();
  const std::string name(63, 'n'), address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
  answer["services"][0]["name"] = name;
  answer["services"][0]["colours"]["blue"]["backends"][0]["address"] = address;
  answer["services"][0]["colours"]["blue"]["backends"][0]["state"] = "maint";
  answer["services"][0]["colours"]["blue"]["backends"][0]["weight"] = 1000;
  answer["services"][0]["colours"]["blue"]["backends"][0]["flows"] = 12345678;
  answer["services"][0]["drift"] = {std::string(20, 'd') + " " + std::string(70, 'e')};
  daemon_->answer("GET /v1/services", answer);
  auto summary = summary_answer();
  summary["services"][0]["name"] = name;
  summary["services"][0]["vip"] = address;
  daemon_->answer("GET /v1/services?view=summary", summary);
  pauses_ = 2;
  expect_80_columns(teal({"list"}).out);
  expect_80_columns(teal({"status"}).out);
  expect_80_columns(teal({"status", "--watch", "--count", "2"}).out);
  expect_80_columns(teal({"backend", "list"}).out);
}

TEST_F(CliTest, ListSaysWhenNoDataplaneRuns) {
  auto answer = summary_answer();
  answer["dataplane"]["running"] = false;
  daemon_->answer("GET /v1/services?view=summary", answer);
  EXPECT_TRUE(teal({"list"}).out.ends_with("\nthe dataplane is not running\n"));
}

TEST_F(CliTest, BackendListNamesBackendsAsBackendSetTakesThem) {
  auto a = services_answer()["services"][0];
  a["colours"]["blue"]["backends"][0]["state"] = "drain";
  a["colours"]["blue"]["backends"][0]["weight"] = 0;
  a["colours"]["blue"]["backends"][1]["weight"] = 5;
  daemon_->answer("GET /v1/services/service-a", a);
  const auto result = teal({"backend", "list", "service-a"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "BACKEND                           STATE      WEIGHT  NEXT HOP    FLOWS  CLOSING\n"
            "service-a/blue/198.18.2.11:8080   drain           0  resolved      100        0\n"
            "service-a/blue/198.18.2.12:8080   ready  5 (file 1)  resolved       98        0\n"
            "service-a/green/198.18.2.21:8080  ready           1  unresolved     20        0\n");
  const auto all = json::parse(teal({"backend", "list", "-o", "json"}).out)["backends"];
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0]["service"], "service-a");
  EXPECT_EQ(all[0]["colour"], "blue");
  EXPECT_EQ(all[0]["address"], "198.18.2.11:8080");
}

TEST_F(CliTest, HistorySaysWhoWhenWhatWhyAndHowItEnded) {
  const json changes = {{{"id", 31},
                         {"generation", 13},
                         {"verb", "flip"},
                         {"changes", {{{"service", "service-a"}, {"from", "blue"}, {"to", "green"}}}},
                         {"reason", "release 42"},
                         {"uid", 0},
                         {"user", "root"},
                         {"at", "2026-11-23T05:30:00.123Z"},
                         {"result", "done"},
                         {"finished_at", "2026-11-23T05:30:00.128Z"},
                         {"duration_us", 4913},
                         {"detail", "adopted by 2 of 2"}},
                        {{"id", 30},
                         {"generation", 12},
                         {"verb", "flip"},
                         {"changes", {{{"service", "service-a"}, {"from", "green"}, {"to", "blue"}}}},
                         {"reason", ""},
                         {"uid", 1000},
                         {"user", ""},
                         {"at", "2026-11-23T05:29:00.000Z"},
                         {"result", "interrupted"},
                         {"finished_at", nullptr},
                         {"duration_us", 0},
                         {"detail", "teald was killed"}}};
  daemon_->answer("GET /v1/history?limit=2&service=service-a&before=40",
                  {{"changes", changes}, {"truncated", true}});
  const auto result = teal({"history", "service-a", "-n", "2", "--before", "40"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "GEN  REV  WHEN                  WHO        RESULT       WHAT\n"
            " 13       2026-11-23 05:30:00Z  root       done, 4.9ms  flip service-a blue ->\n"
            "                                                        green \"release 42\"\n"
            " 12       2026-11-23 05:29:00Z  user 1000  interrupted  flip service-a green ->\n"
            "                                                        blue; teald was killed\n"
            "older changes: --limit N, or --before 30\n");
  daemon_->answer("GET /v1/history?limit=20", {{"changes", json::array()}, {"truncated", false}});
  EXPECT_EQ(teal({"history"}).out, "no changes\n");
}

TEST_F(CliTest, FlowsAsksAndShows) {
  daemon_->answer(
      "GET "
      "/v1/"
      "flows?limit=1&service=service-a&colour=blue&backend=%5Bfd18%3A2%3A%3A11%5D%3A8080&client=198.18.1.101",
      {{"flows",
        {{{"service", "service-a"},
          {"client", "198.18.1.101:40000"},
          {"backend", "198.18.2.11:8080"},
          {"colour", "blue"},
          {"state", "established"},
          {"birth_generation", 9},
          {"idle_seconds", 75.4}}}},
       {"matched", 1234},
       {"truncated", true}});
  const auto result = teal({"flows", "--service", "service-a", "--colour", "blue", "--backend",
                            "[fd18:2::11]:8080", "--client", "198.18.1.101", "--limit", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "SERVICE    CLIENT              COLOUR  BACKEND           STATE        GEN   IDLE\n"
            "service-a  198.18.1.101:40000  blue    198.18.2.11:8080  established    9  1m15s\n"
            "1 of 1234 flows; --limit N shows more\n");
}

TEST_F(CliTest, StatsShowsWhatIsNotZeroWithItsMeaning) {
  const json one = {{"rx", 10}, {"tx", 9}, {"truncated", 0}}, two = {{"rx", 5}, {"tx", 5}, {"truncated", 1}};
  daemon_->answer(
      "GET /v1/counters",
      {{"workers",
        {{{"index", 0},
          {"adopted_generation", 12},
          {"state", "polling"},
          {"busy_ratio", 0.204},
          {"counters", one}},
         {{"index", 1},
          {"adopted_generation", 12},
          {"state", "asleep"},
          {"busy_ratio", 0},
          {"counters", two}}}},
       {"totals", {{"rx", 15}, {"tx", 14}, {"truncated", 1}, {"fragment", 0}, {"of_a_newer_daemon", 4}}}});
  const auto result = teal({"stats"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "WORKER  STATE     BUSY  GENERATION\n"
            "     0  polling  20.4%          12\n"
            "     1  asleep    0.0%          12\n"
            "\n"
            "COUNTER            TOTAL  MEANING\n"
            "rx                    15  packets received from the ports\n"
            "tx                    14  packets transmitted to clients and backends\n"
            "truncated              1  dropped: a header or the IP length exceeds the frame\n"
            "of_a_newer_daemon      4\n"
            "\n"
            "COUNTER            WORKER 0  WORKER 1\n"
            "rx                       10         5\n"
            "tx                        9         5\n"
            "truncated                 0         1\n"
            "of_a_newer_daemon         0         0\n");
  const auto all = teal({"stats", "--all"}).out;
  EXPECT_TRUE(contains(all, "\nfragment "));
  expect_80_columns(all);
}

TEST_F(CliTest, StatsShowsLinksNicCountersAndTheSteeringProgram) {
  daemon_->answer("GET /v1/counters", {{"workers", json::array()},
                                       {"totals", {{"rx", 0}}},
                                       {"ports",
                                        {{{"name", "front"},
                                          {"interface", "eth1"},
                                          {"driver", "net_af_xdp"},
                                          {"queues", 2},
                                          {"spreads", true},
                                          {"link", "up"},
                                          {"speed_mbps", 10000},
                                          {"counters", {{"rx_packets", 12}, {"rx_missed", 3}}}},
                                         {{"name", "back"},
                                          {"interface", "back"},
                                          {"driver", "net_e1000_em"},
                                          {"owned_by_dpdk", true},
                                          {"queues", 2},
                                          {"spreads", false},
                                          {"link", "down"},
                                          {"speed_mbps", 0},
                                          {"counters", {{"rx_packets", 0}}}}}},
                                       {"steering", {{"pass", 5}, {"no_socket", 0}}}});
  const auto result = teal({"stats"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "no worker is running\n\nall counters are 0\n\n"
            "PORT   INTERFACE   DRIVER        LINK  MBIT/S      QUEUES\n"
            "front  eth1        net_af_xdp    up     10000           2\n"
            "back   back (TAP)  net_e1000_em  down          2 (no RSS)\n"
            "\n"
            "PORT      COUNTER     TOTAL  MEANING\n"
            "front     rx_packets     12  packets received\n"
            "front     rx_missed       3  packets dropped because the receive queue was full\n"
            "steering  pass            5  packets passed to the kernel\n");
  expect_80_columns(teal({"stats", "--all"}).out);
}

TEST_F(CliTest, VersionWorksWithoutADaemon) {
  EXPECT_EQ(teal({"version"}).out,
            "teal " TEAL_VERSION "\nteald 0.1.0 (pid 7, up 1m1s) on " + socket_ + "\n");
  EXPECT_EQ(teal({"--version"}).exit_code, 0);
  daemon_.reset();
  const auto alone = teal({"version"});
  EXPECT_EQ(alone.exit_code, 0);
  EXPECT_TRUE(alone.out.starts_with("teal " TEAL_VERSION "\nteald: cannot reach teald on " + socket_));
  EXPECT_TRUE(json::parse(teal({"version", "-ojson"}).out)["teald"].is_null());
}

TEST_F(CliTest, CheckReadsBothPartsAndListsEveryErrorWithoutADaemon) {
  daemon_.reset();
  const std::string path = directory_.file("teal.toml");
  const auto write = [&](const char* service) {
    std::ofstream(path)
        << "[dataplane]\nworkers = 1\n[[port]]\nname = \"front\"\ndevice = \"af_xdp:eth1\"\nside = \"both\"\n"
        << service;
  };
  write(
      "[[service]]\nname = \"a\"\nvip = \"198.18.0.10:80\"\nprotocol = \"tcp\"\nblue = "
      "[\"198.18.2.11:8080\"]\ngreen = [\"198.18.2.21:8080\"]\n");
  const auto good = teal({"check", path});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, path + ": no errors; 1 worker, 1 port, 1 service, 0 groups, 2 backends\n");
  EXPECT_EQ(json::parse(teal({"check", path, "-o", "json"}).out)["backends"], 2);

  write(
      "[[service]]\nname = \"a\"\nvip = \"198.18.0.10:70000\"\nprotocol = \"sctp\"\nblue = []\ngreen = "
      "[\"198.18.2.21:8080\"]\n");
  const auto bad = teal({"check", path});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_TRUE(contains(bad.err, path + ":9: service[0].vip: ")) << bad.err;
  EXPECT_TRUE(contains(bad.err, "service[0].protocol: "));
  EXPECT_GE(json::parse(teal({"check", path, "-o", "json"}).out)["error"]["details"].size(), 3u);
  EXPECT_EQ(teal({"check", directory_.file("none.toml")}).exit_code, 1);
  ::unlink(socket_.c_str());
  daemon_ = std::make_unique<FakeDaemon>(socket_);
  daemon_->answer("GET /v1/version", {{"config", path}});
  EXPECT_TRUE(contains(teal({"check"}).err, path + ":")) << "without FILE it is the running daemon's";
  daemon_.reset();
  EXPECT_TRUE(contains(teal({"check"}).out + teal({"check"}).err, "/etc/teal/teal.toml"));
}

TEST_F(CliTest, HistoryAndReloadTearNoKeyOnANarrowTerminal) {
  const std::string key = "service-a/green/198.18.2.23:8080";
  const json entry = {{"kind", "backend"},
                      {"service", "service-a"},
                      {"colour", "green"},
                      {"address", "198.18.2.23:8080"},
                      {"detail", "weight 1, of a text that is longer than what is left of the line"},
                      {"what", "added"}};
  daemon_->answer("GET /v1/history?limit=20", {{"changes",
                                                {{{"id", 2},
                                                  {"generation", 2},
                                                  {"verb", "reload"},
                                                  {"changes", {entry, entry}},
                                                  {"reason", "release 42"},
                                                  {"uid", 0},
                                                  {"user", "root"},
                                                  {"at", "2026-11-23T05:30:00.123Z"},
                                                  {"result", "done"},
                                                  {"duration_us", 17700}}}},
                                               {"truncated", false}});
  json plan = {
      {"added", {entry}}, {"changed", json::array()}, {"retired", json::array()}, {"restart", json::array()}};
  daemon_->answer("POST /v1/reload", change_answer({{"plan", plan}}));
  for (const auto& text : {teal({"history"}).out, teal({"reload", "--dry-run"}).out}) {
    EXPECT_TRUE(contains(text, key)) << text;
    size_t lines = 0;
    std::istringstream all(text);
    for (std::string line; std::getline(all, line); ++lines) EXPECT_LE(width_of(line), 80u) << line;
    EXPECT_LE(lines, 7u) << text;
  }
}

}  // namespace
}  // namespace teal::cli
