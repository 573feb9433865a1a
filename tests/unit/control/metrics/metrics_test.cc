// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/metrics.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <regex>
#include <set>

#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/state/databases.h"

namespace teal {
namespace {

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() { std::filesystem::create_directories(home.run_dir()); }

  std::string scrape() {
    RawClient client(home.run_dir() + "/status.sock");
    client.get("/metrics", "Connection: close\r\n");
    const std::string reply = client.read_all();
    EXPECT_NE(reply.find("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), std::string::npos);
    return reply.substr(reply.find("\r\n\r\n") + 4);
  }
  // Returns the value of a series as text, or "none".
  static std::string value(const std::string& text, const std::string& series) {
    const size_t at = ("\n" + text).find("\n" + series + " ");
    if (at == std::string::npos) return "none";
    const size_t begin = at + series.size() + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  }

  DaemonHome home;
};

TEST_F(MetricsTest, HasTheDocumentedNames) {
  RunningDaemon daemon(home);
  const std::string text = scrape();
  for (const char* name : {"teal_flips_total",
                           "teal_flip_duration_seconds",
                           "teal_service_active",
                           "teal_flows",
                           "teal_new_flows_total",
                           "teal_wrong_colour_flows_total",
                           "teal_drain_flows_remaining",
                           "teal_drain_deadline_timestamp_seconds",
                           "teal_packets_total",
                           "teal_bytes_total",
                           "teal_drops_total",
                           "teal_events_total",
                           "teal_flow_table_entries",
                           "teal_flow_table_capacity",
                           "teal_worker_busy_ratio",
                           "teal_dataplane_running",
                           "teal_generation",
                           "teal_build_info",
                           "teal_port_info",
                           "teal_port_link_up",
                           "teal_port_link_speed_mbps",
                           "teal_port_queues",
                           "teal_port_rss",
                           "teal_port_rx_missed_total",
                           "teal_port_rx_no_buffers_total",
                           "teal_steering_packets_total"}) {
    EXPECT_NE(text.find(std::string("# HELP ") + name + " "), std::string::npos) << name;
    EXPECT_NE(text.find(std::string("# TYPE ") + name + " "), std::string::npos) << name;
  }
  EXPECT_EQ(value(text, "teal_dataplane_running"), "0");
  EXPECT_EQ(value(text, "teal_build_info{version=\"" TEAL_VERSION "\"}"), "1");
  EXPECT_EQ(value(text, "teal_flips_total{service=\"service-a\",to=\"green\",result=\"done\"}"), "0")
      << "the series exists before the first flip";
}

TEST_F(MetricsTest, LinksAndNicCountersOfThePorts) {
  FakeDataplane dataplane(home.run_dir());
  dataplane.add_port(3, "back", LinkState::kDown, 7);
  dataplane.add_port(4, "front", LinkState::kUp, 0);
  dataplane.segment().header().ports[4].spreads = 0;
  RunningDaemon daemon(home);
  const std::string text = scrape();
  EXPECT_EQ(value(text, "teal_port_rss{port=\"front\"}"), "0");
  EXPECT_EQ(value(text, "teal_port_link_up{port=\"back\"}"), "0");
  EXPECT_EQ(value(text, "teal_port_link_speed_mbps{port=\"back\"}"), "10000");
  EXPECT_EQ(value(text, "teal_port_queues{port=\"back\"}"), "2");
  EXPECT_EQ(value(text, "teal_port_rss{port=\"back\"}"), "1");
  EXPECT_EQ(value(text, "teal_port_rx_missed_total{port=\"back\"}"), "7");
  EXPECT_EQ(value(text, "teal_port_info{port=\"back\",interface=\"back\",driver=\"net_virtio\"}"), "1");
}

TEST_F(MetricsTest, FlipsAreCountedByServiceColourAndResult) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  home.post("/v1/flip", R"({"group":"shop","to":"green"})");
  home.post("/v1/rollback", R"({"services":["service-a"]})");
  home.post("/v1/lock", R"({"reason":"no flip"})");
  home.post("/v1/unlock", "{}");
  std::string text = scrape();
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-a",to="green",result="done"})"), "1");
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-a",to="blue",result="done"})"), "1");
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-b",to="green",result="done"})"), "1");
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-c",to="green",result="done"})"), "0");
  EXPECT_EQ(value(text, "teal_flip_duration_seconds_count"), "2") << "publications, not services";
  EXPECT_EQ(value(text, R"(teal_flip_duration_seconds_bucket{le="+Inf"})"), "2");
  EXPECT_EQ(value(text, R"(teal_service_active{service="service-b",colour="green"})"), "1");
  EXPECT_EQ(value(text, R"(teal_service_active{service="service-b",colour="blue"})"), "0");
  EXPECT_EQ(value(text, "teal_dataplane_running"), "1");
  EXPECT_EQ(value(text, "teal_generation"), std::to_string(dataplane.generation()));

  dataplane.hold_still(true);
  auto flip = std::async(std::launch::async, [&] { return home.flip("service-c", "green"); });
  ASSERT_TRUE(
      home.comes_true([&] { return flip.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }));
  EXPECT_EQ(flip.get().status, 504u);
  text = scrape();
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-c",to="green",result="adoption_timeout"})"),
            "1");
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-c",to="green",result="done"})"), "0");
  dataplane.hold_still(false);
}

TEST_F(MetricsTest, TheLastStepOfARampIsCountedAsAFlip) {
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  const std::string ramp = R"({"services":["service-a"],"to":"green","steps":["25%","100%"],"force":true})";
  const auto flips = [&](const char* to) {
    return value(scrape(),
                 fmt::format(R"(teal_flips_total{{service="service-a",to="{}",result="done"}})", to));
  };
  ASSERT_EQ(home.post("/v1/ramp", ramp).status, 200u);
  EXPECT_EQ(flips("green"), "0") << "a share is no flip";
  ASSERT_EQ(home.post("/v1/abort", R"({"services":["service-a"]})").status, 200u);
  EXPECT_EQ(flips("blue"), "0") << "blue was active all the time";
  EXPECT_EQ(value(scrape(), "teal_flip_duration_seconds_count"), "0");
  ASSERT_EQ(home.post("/v1/ramp", ramp).status, 200u);
  ASSERT_EQ(home.post("/v1/rollback", R"({"services":["service-a"]})").status, 200u);
  EXPECT_EQ(flips("blue"), "0") << "this rollback is an abort";
  ASSERT_EQ(home.post("/v1/ramp", ramp).status, 200u);
  ASSERT_EQ(home.post("/v1/next", R"({"services":["service-a"]})").status, 200u);
  EXPECT_EQ(flips("green"), "1");
  EXPECT_EQ(value(scrape(), "teal_flip_duration_seconds_count"), "1");
}

TEST_F(MetricsTest, TrafficAndDrainsComeFromTheSegment) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  WorkerBlock& first = dataplane.segment().worker(0);
  WorkerBlock& second = dataplane.segment().worker(1);
  first.flows[0][0].live = 30;
  second.flows[1][0].live = 12;
  second.flows[1][0].closing = 5;
  first.services[0][0].packets[0].add(7);
  second.services[0][0].packets[0].add(8);
  second.services[0][0].bytes[1].add(9'007'199'254'740'991);
  first.services[0][0].midstream.add(30);
  first.services[0][0].chosen_again.add(7);
  first.trials[0][0][0].begun.add(4);
  first.trials[0][0][kClientCells - 1].begun.add(1);
  first.count(DropReason::k_tx_full, 3);
  second.count(Event::k_table_full, 4);
  std::string text = scrape();
  EXPECT_EQ(value(text, R"(teal_flows{service="service-a",colour="blue"})"), "42");
  EXPECT_EQ(value(text, R"(teal_new_flows_total{service="service-a",colour="blue"})"), "42");
  EXPECT_EQ(value(text, R"(teal_packets_total{service="service-a",colour="blue",direction="to_backend"})"),
            "15");
  EXPECT_EQ(
      std::stod(value(text, R"(teal_bytes_total{service="service-a",colour="blue",direction="to_client"})")),
      9'007'199'254'740'991.0)
      << "to the byte";
  EXPECT_EQ(value(text, R"(teal_drops_total{reason="tx_full"})"), "3");
  EXPECT_EQ(value(text, R"(teal_events_total{event="table_full"})"), "4");
  EXPECT_EQ(value(text, "teal_flow_table_entries"), "47");
  EXPECT_EQ(value(text, "teal_flow_table_capacity"), "10000");
  EXPECT_EQ(value(text, R"(teal_drain_flows_remaining{service="service-a"})"), "0");
  EXPECT_EQ(value(text, R"(teal_drain_deadline_timestamp_seconds{service="service-a"})"), "none");

  const double flipped_at = static_cast<double>(home.clock().wall_ms()) / 1e3;
  home.flip("service-a", "green");
  text = scrape();
  EXPECT_EQ(value(text, R"(teal_drain_flows_remaining{service="service-a"})"), "42");
  EXPECT_NEAR(std::stod(value(text, R"(teal_drain_deadline_timestamp_seconds{service="service-a"})")),
              flipped_at + 300, 3);
}

TEST_F(MetricsTest, AServiceThatLeftTheConfigHasNoSeries) {
  RunningDaemon daemon(home);
  home.flip("service-c", "green");
  EXPECT_EQ(value(scrape(), R"(teal_flips_total{service="service-c",to="green",result="done"})"), "1");
  std::string toml = kShopToml;
  const size_t begin = toml.find("[[service]]\nname = \"service-c\"");
  toml.erase(begin, toml.find("[[group]]") - begin);
  home.write_config(toml);
  ASSERT_EQ(home.post("/v1/reload", "{}").status, 200u);
  EXPECT_EQ(scrape().find("service-c"), std::string::npos);
}

TEST_F(MetricsTest, EachBackendHasItsFlowsItsNextHopAndItsState) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  dataplane.segment().worker(0).flows[1][0].live = 3;
  dataplane.segment().worker(1).flows[1][0].live = 4;
  dataplane.segment().header().next_hops[0].store(uint64_t{1} << 32);
  const auto of = [&](const std::string& name, const std::string& address, const std::string& more = "") {
    return value(scrape(),
                 name + R"({service="service-a",colour="blue",backend=")" + address + "\"" + more + "}");
  };
  const std::string first = "198.18.2.11:8080", second = "198.18.2.12:8080";
  EXPECT_EQ(of("teal_backend_flows", first), "0");
  EXPECT_EQ(of("teal_backend_flows", second), "7");
  EXPECT_EQ(of("teal_backend_next_hop_up", first), "1");
  EXPECT_EQ(of("teal_backend_next_hop_up", second), "0");
  EXPECT_EQ(of("teal_backend_weight", second), "1");
  EXPECT_EQ(of("teal_backend_admin_state", second, R"(,state="ready")"), "1");
  const std::string drain =
      R"({"service":"service-a","colour":"blue","address":")" + second + R"(","state":"drain"})";
  ASSERT_EQ(home.post("/v1/backend", drain).status, 200u);
  EXPECT_EQ(of("teal_backend_weight", second), "0");
  EXPECT_EQ(of("teal_backend_admin_state", second, R"(,state="drain")"), "1");
  EXPECT_EQ(of("teal_backend_admin_state", second, R"(,state="ready")"), "none")
      << "one series for each backend";
  EXPECT_EQ(
      value(scrape(), R"(teal_backend_flows{service="service-b",colour="blue",backend="[fd18:2::11]:8080"})"),
      "0");
}

TEST_F(MetricsTest, WhatFlowsTellAboutABackendIsCounted) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  for (const uint32_t worker : {0, 1}) {
    dataplane.segment().worker(worker).signals[1][0].begun.add(10);
    dataplane.segment().worker(worker).signals[1][0].refused.add(3);
    ServiceTimes& times = dataplane.segment().worker(worker).times[0][0];
    times.handshake.count(3);      // at most 4 us
    times.handshake.count(1'000);  // at most 1,024 us
  }
  const std::string text = scrape();
  const std::string backend = R"(service="service-a",colour="blue",backend="198.18.2.12:8080")";
  const auto outcome = [&](const std::string& name) {
    return value(text, "teal_backend_flow_outcomes_total{" + backend + ",outcome=\"" + name + "\"}");
  };
  EXPECT_EQ(outcome("begun"), "20");
  EXPECT_EQ(outcome("refused"), "6");
  EXPECT_EQ(outcome("reset"), "0");
  EXPECT_EQ(text.find(R"(outcomes_total{service="service-a",colour="blue",backend="198.18.2.11)"),
            std::string::npos)
      << "no flow began there";
  const std::string colour = R"({service="service-a",colour="blue")";
  EXPECT_EQ(value(text, "teal_handshake_seconds_bucket" + colour + R"(,le="2e-06"})"), "0");
  EXPECT_EQ(value(text, "teal_handshake_seconds_bucket" + colour + R"(,le="4e-06"})"), "2");
  EXPECT_EQ(value(text, "teal_handshake_seconds_bucket" + colour + R"(,le="0.001024"})"), "4");
  EXPECT_EQ(value(text, "teal_handshake_seconds_bucket" + colour + R"(,le="+Inf"})"), "4");
  EXPECT_EQ(value(text, "teal_handshake_seconds_count" + colour + "}"), "4");
  EXPECT_EQ(value(text, "teal_handshake_seconds_sum" + colour + "}"), "0.002006");
  const auto view = home.service("service-a")["colours"]["blue"];
  EXPECT_EQ(view["backends"][1]["outcomes"]["refused"], 6);
  EXPECT_EQ(view["times"]["handshake"]["p99_us"], 1024);
  EXPECT_EQ(view["times"]["first_answer"]["p99_us"], nullptr);
}

TEST_F(MetricsTest, ADiskThatTakesNoWritesIsSeen) {
  RunningDaemon daemon(home);
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  EXPECT_EQ(value(scrape(), "teal_storage_up"), "1");
  EXPECT_EQ(value(scrape(), "teal_storage_errors_total"), "0");
  EXPECT_EQ(value(scrape(), "teal_unrecorded_changes"), "0");
  run_sql(home.dir().file("state/teal.db"), "ALTER TABLE history RENAME TO hidden");
  EXPECT_EQ(home.flip("service-b", "green").status, 503u);
  EXPECT_EQ(value(scrape(), "teal_storage_errors_total"), "1");
  EXPECT_EQ(home.post("/v1/rollback", R"({"services":["service-a"]})").status, 200u);
  EXPECT_EQ(value(scrape(), "teal_storage_up"), "0");
  EXPECT_EQ(value(scrape(), "teal_unrecorded_changes"), "1");
}

TEST_F(MetricsTest, TheLockTheFileAndTheDriftAreSeen) {
  RunningDaemon daemon(home);
  std::string text = scrape();
  EXPECT_EQ(value(text, "teal_change_lock"), "0");
  EXPECT_EQ(value(text, "teal_config_file_differs"), "0");
  EXPECT_EQ(value(text, R"(teal_service_drift{service="service-a"})"), "0");
  EXPECT_EQ(value(text, "teal_config_last_reload_successful"), "1") << "the start has read it";
  ASSERT_EQ(
      home.post("/v1/backend",
                R"({"service":"service-a","colour":"blue","address":"198.18.2.12:8080","state":"drain"})")
          .status,
      200u);
  home.post("/v1/lock", R"({"reason":"audit"})");
  home.write_config("nonsense");
  text = scrape();
  EXPECT_EQ(value(text, "teal_change_lock"), "1");
  EXPECT_EQ(value(text, "teal_config_file_differs"), "1");
  EXPECT_EQ(value(text, R"(teal_service_drift{service="service-a"})"), "1");
  EXPECT_EQ(value(text, R"(teal_service_drift{service="service-b"})"), "0");
}

TEST_F(MetricsTest, ARampHasAShareAndCanBePaused) {
  RunningDaemon daemon(home);
  EXPECT_EQ(scrape().find("teal_service_ramp_paused{"), std::string::npos);
  const std::string ramp = R"({"services":["service-a"],"to":"green","steps":["25%","100%"],"force":true})";
  ASSERT_EQ(home.post("/v1/ramp", ramp).status, 200u);
  std::string text = scrape();
  EXPECT_EQ(value(text, R"(teal_service_share_ratio{service="service-a",colour="green"})"), "0.25");
  EXPECT_EQ(value(text, R"(teal_service_ramp_paused{service="service-a"})"), "0");
  EXPECT_EQ(value(text, R"(teal_service_phase{service="service-a",phase="ramping"})"), "1");
  EXPECT_EQ(value(text, R"(teal_service_phase{service="service-a",phase="steady"})"), "0");
  EXPECT_EQ(value(text, R"(teal_service_phase{service="service-b",phase="steady"})"), "1");
  ASSERT_EQ(home.post("/v1/pause", R"({"services":["service-a"],"reason":"logs"})").status, 200u);
  text = scrape();
  EXPECT_EQ(value(text, R"(teal_service_ramp_paused{service="service-a"})"), "1");
  EXPECT_EQ(value(text, R"(teal_service_phase{service="service-a",phase="paused"})"), "1");
}

TEST_F(MetricsTest, TheLastReloadHasAResultAndATime) {
  RunningDaemon daemon(home);
  const auto time = [&] { return std::stod(value(scrape(), "teal_config_last_reload_timestamp_seconds")); };
  home.clock().skip(std::chrono::hours(1));
  home.write_config("nonsense");
  EXPECT_EQ(home.post("/v1/reload", R"({"dry_run":true})").status, 422u);
  EXPECT_EQ(value(scrape(), "teal_config_last_reload_successful"), "1") << "a dry run is no reload";
  EXPECT_EQ(home.post("/v1/reload", "{}").status, 422u);
  EXPECT_EQ(value(scrape(), "teal_config_last_reload_successful"), "0");
  EXPECT_NEAR(time(), static_cast<double>(home.clock().wall_ms()) / 1e3, 10);
  home.clock().skip(std::chrono::hours(1));
  home.write_config(kShopToml);
  EXPECT_EQ(home.post("/v1/reload", "{}").status, 200u);
  EXPECT_EQ(value(scrape(), "teal_config_last_reload_successful"), "1");
  EXPECT_NEAR(time(), static_cast<double>(home.clock().wall_ms()) / 1e3, 10);
}

TEST_F(MetricsTest, BusySecondsOfWorkersAreCounters) {
  FakeDataplane dataplane(home.run_dir(), 2);
  RunningDaemon daemon(home);
  const uint64_t hz = dataplane.segment().header().tsc_hz;
  dataplane.segment().worker(1).status.busy_tsc.add(3 * hz);
  dataplane.segment().worker(1).status.total_tsc.add(60 * hz);
  const std::string text = scrape();
  EXPECT_NEAR(std::stod(value(text, R"(teal_worker_busy_seconds_total{worker="1"})")), 3, 0.001);
  EXPECT_NEAR(std::stod(value(text, R"(teal_worker_seconds_total{worker="1"})")), 60, 0.001);
  EXPECT_NE(text.find("# TYPE teal_worker_busy_seconds_total counter"), std::string::npos);
}

// An alert on increase() would miss the first failure of a series that begins with this failure.
TEST_F(MetricsTest, EachServiceOfALargeFlipIsCounted) {
  std::string names;
  for (int n = 0; n < 20; ++n) names += fmt::format("{}\"s{}\"", n == 0 ? "" : ",", n);
  home.write_config(shop_with_more_services(20));
  RunningDaemon daemon(home);
  ASSERT_EQ(home.post("/v1/flip", R"({"services":[)" + names + R"(],"to":"green"})").status, 200u);
  EXPECT_EQ(value(scrape(), R"(teal_flips_total{service="s19",to="green",result="done"})"), "1");
}

TEST_F(MetricsTest, FailuresOfFlipsHaveSeriesBeforeTheFirstOne) {
  RunningDaemon daemon(home);
  home.flip("service-a", "green");
  const std::string text = scrape();
  for (const char* service : {"service-a", "service-b", "service-c"})
    for (const char* to : {"blue", "green"})
      for (const char* result : {"adoption_timeout", "not_published"})
        EXPECT_EQ(value(text, std::string("teal_flips_total{service=\"") + service + "\",to=\"" + to +
                                  "\",result=\"" + result + "\"}"),
                  "0");
  EXPECT_EQ(value(text, R"(teal_flips_total{service="service-a",to="green",result="done"})"), "1");
}

// promtool is in Debian's package prometheus.
TEST_F(MetricsTest, PromtoolFindsNoMistake) {
  if (std::system("command -v promtool >/dev/null") != 0) GTEST_SKIP() << "promtool is not installed";
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  dataplane.segment().worker(0).flows[0][0].live = 30;
  home.flip("service-a", "green");
  const std::string file = home.dir().file("metrics");
  std::ofstream(file) << scrape();
  EXPECT_EQ(std::system(("promtool check metrics < " + file + " >&2").c_str()), 0);
}

}  // namespace
}  // namespace teal
