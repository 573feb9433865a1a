// SPDX-License-Identifier: Apache-2.0
//
// The verbs that show.
#include <fstream>

#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

const json kLock = {
    {"uid", 1000}, {"user", "alice"}, {"reason", "release freeze"}, {"since", "2026-11-23T05:00:00.000Z"}};

TEST_F(CliTest, ListAsksForASummaryAndShowsServices) {
  const auto result = teal({"list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(daemon_->last_request(), "GET /v1/services?view=summary");
  EXPECT_EQ(result.out,
            "SERVICE    VIP              PROTOCOL  ACTIVE  BLUE  GREEN  GROUPS\n"
            "service-a  198.18.0.10:80   tcp       green      2      1  shop\n"
            "service-b  [fd18:0::10]:80  tcp       blue       1      1  shop\n");
  auto locked = summary_answer();
  locked["lock"] = kLock;
  daemon_->answer("GET /v1/services?view=summary", locked);
  EXPECT_TRUE(contains(teal({"list"}).out, "locked by alice since 2026-11-23 05:00:00Z: release freeze\n"));
}

TEST_F(CliTest, StatusShowsFlowsByColourAndBackendAndWhatDrains) {
  const auto result = teal({"status"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "generation 12; dataplane 77: 2 workers; 223 of 1000000 flow entries\n"
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
            "                     [fd18:2::21]:8080      0        0\n"
            "draining: service-a blue, 198 flows left on 2 backends; 4m12s to the deadline,\n"
            "  then wait; done in about 33s\n"
            "drift: service-a: active is green, the file says blue\n");
}

TEST_F(CliTest, StatusBeginsWithWhatAnOperatorHasToKnow) {
  auto answer = services_answer();
  answer["lock"] = kLock;
  answer["config"]["file_differs"] = true;
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status"}).out,
                       "flow entries\n"
                       "locked by alice since 2026-11-23 05:00:00Z: release freeze; see teal unlock\n"
                       "the config file has changed since it was loaded; see teal reload --dry-run\n"
                       "\nSERVICE"));
  EXPECT_TRUE(contains(teal_on_terminal({"status"}).out, "\033[33mlocked by alice"));
}

TEST_F(CliTest, StatusShowsWhatIsRetiredAndWhatOperatorsSet) {
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

TEST_F(CliTest, StatusOfOneServiceOnly) {
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

TEST_F(CliTest, WatchPrintsPagesAndOutlivesARestartOfTheDaemon) {
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

TEST_F(CliTest, WatchWritesOverThePageBeforeWithoutClearingIt) {
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

TEST_F(CliTest, WatchCountsTheLinesThatDoNotFitTheScreen) {
  auto answer = services_answer();
  for (int i = 0; i < 30; ++i) {
    auto service = answer["services"][1];
    service["name"] = "more-" + std::to_string(i);
    answer["services"].push_back(service);
  }
  daemon_->answer("GET /v1/services", answer);
  const auto text = teal_on_terminal({"status", "--watch"}).out;
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 23);
  EXPECT_TRUE(contains(text, " more lines\033[K\n"));
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
            "GEN  WHEN                  WHO       RESULT       WHAT\n"
            " 13  2026-11-23 05:30:00Z  root      done, 4.9ms  flip service-a blue -> green\n"
            "                                                  \"release 42\"\n"
            " 12  2026-11-23 05:29:00Z  uid 1000  interrupted  flip service-a green -> blue;\n"
            "                                                  teald was killed\n"
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
            "SERVICE    CLIENT             COLOUR  BACKEND           STATE        BORN   IDLE\n"
            "service-a  198.18.1.101       blue    198.18.2.11:8080  established     9  1m15s\n"
            "           :40000\n"
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
            "PORT   INTERFACE  DRIVER        LINK  MBIT/S      QUEUES\n"
            "front  eth1       net_af_xdp    up     10000           2\n"
            "back   back       net_e1000_em  down          2 (no RSS)\n"
            "\n"
            "PORT      COUNTER     TOTAL  MEANING\n"
            "front     rx_packets     12  packets received\n"
            "front     rx_missed       3  packets dropped because the receive queue was full\n"
            "steering  pass            5  packets passed to the kernel\n");
  expect_80_columns(teal({"stats", "--all"}).out);
}

TEST_F(CliTest, VersionWorksWithoutADaemon) {
  EXPECT_EQ(teal({"version"}).out,
            "teal " TEAL_VERSION "\nteald 0.1.0 (pid 7, up 1m01s) on " + socket_ + "\n");
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
}

}  // namespace
}  // namespace teal::cli
