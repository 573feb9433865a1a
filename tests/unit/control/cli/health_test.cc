// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json health_answer() {
  const json pool = {{"mode", "normal"}, {"weight", 2}, {"weight_up", 2}};
  const json blue = {{"mode", "all_serve"}, {"weight", 2}, {"weight_up", 0}};
  return {
      {"prober", {{"checked", 3}, {"connected", true}, {"fresh", true}, {"unknown_since", nullptr}}},
      {"services",
       {{{"name", "service-a"},
         {"check",
          {{"kind", "http"}, {"interval_seconds", 1.0}, {"timeout_seconds", 1.0}, {"rise", 2}, {"fall", 3}}},
         {"pools", {{"blue", blue}, {"green", pool}}},
         {"backends",
          {{{"address", "198.18.2.11:8080"},
            {"colour", "blue"},
            {"health", "down"},
            {"health_since", "2026-11-23T05:30:00.123Z"},
            {"health_reason", "HTTP 503, expected 200 to 399"},
            {"last_check", "failed"}},
           {{"address", "198.18.2.12:8080"},
            {"colour", "blue"},
            {"health", "unchecked"},
            {"last_check", nullptr}},
           {{"address", "198.18.2.21:8080"},
            {"colour", "green"},
            {"health", "up"},
            {"health_since", "2026-11-23T05:00:00.000Z"},
            {"health_reason", "connection refused"},
            {"last_check", "failed"}}}}},
        {{"name", "service-b"},
         {"check", nullptr},
         {"pools", {{"blue", pool}, {"green", pool}}},
         {"backends", {{{"address", "[fd18:2::11]:8080"}, {"colour", "blue"}, {"health", nullptr}}}}}}}};
}

// Gives the backends of service-a this health.
json with_health(json services, const json& fields) {
  for (auto& pool : services.at("services").at(0).at("colours"))
    for (auto& backend : pool.at("backends")) {
      backend["next_hop"] = "resolved";
      backend.update(fields);
    }
  return services;
}

TEST_F(CliTest, StatusMarksAPoolWhoseBackendsAllServeOrThatRejects) {
  auto answer = services_answer();
  auto& services = answer["services"];
  services[1]["colours"]["blue"]["mode"] = "normal";
  daemon_->answer("GET /v1/services", answer);
  EXPECT_TRUE(contains(teal({"status"}).out, "     7  active\n"));
  services[0]["colours"]["green"]["mode"] = "all_serve";
  services[1]["colours"]["blue"]["mode"] = "reject";
  services[1]["colours"]["green"]["mode"] = "all_serve";
  daemon_->answer("GET /v1/services", answer);
  const auto page = teal({"status"}).out;
  EXPECT_TRUE(contains(page, "    20  active, all serve\n")) << page;
  EXPECT_TRUE(contains(page, "     7  active, rejects\n")) << page;
  EXPECT_TRUE(contains(page, "     0  all serve\n")) << page;
  EXPECT_TRUE(contains(teal_on_terminal({"status"}).out, "\033[33mactive, rejects"));
}

TEST_F(CliTest, HealthShowsEachCheckedBackendAndWhyOneIsDown) {
  daemon_->answer("GET /v1/health", health_answer());
  const auto result = teal({"health"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "service-a/blue: 0 of 2 weight is up, so all backends serve\n"))
      << result.out;
  EXPECT_TRUE(contains(result.out, "down: HTTP 503,")) << result.out;
  EXPECT_TRUE(contains(result.out, "unchecked")) << result.out;
  EXPECT_FALSE(contains(result.out, "service-b")) << "it has no check";
  expect_80_columns(result.out);
  EXPECT_EQ(json::parse(teal({"health", "-o", "json"}).out), health_answer());
}

TEST_F(CliTest, HealthOfOneServiceAsksForItAlone) {
  json one = health_answer();
  one["services"].erase(0);
  daemon_->answer("GET /v1/health?service=service-b", one);
  const auto result = teal({"health", "service-b"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "service-b: no check"))
      << "a named service is shown, also without a check: " << result.out;
}

TEST_F(CliTest, HealthWithoutChecksSaysHowToHaveThem) {
  daemon_->answer(
      "GET /v1/health",
      {{"prober", {{"checked", 0}, {"connected", false}, {"fresh", false}, {"unknown_since", nullptr}}},
       {"services", json::array()}});
  EXPECT_EQ(teal({"health"}).out, "no service has a check; teal.toml(5) describes [service.check]\n");
}

TEST_F(CliTest, UnknownHealthSaysSinceWhenAndWhatWasKnown) {
  json answer = health_answer();
  answer["prober"] = {
      {"checked", 3}, {"connected", false}, {"fresh", false}, {"unknown_since", "2026-11-23T06:00:00.000Z"}};
  for (auto& backend : answer["services"][0]["backends"])
    backend["health_unknown_since"] = "2026-11-23T06:00:00.000Z";
  daemon_->answer("GET /v1/health", answer);
  const auto out = teal({"health"}).out;
  EXPECT_TRUE(out.starts_with("teal-health is not connected: health is unknown since 2026-11-23 06:00:00Z"))
      << out;
  EXPECT_TRUE(contains(out, "last known: down:")) << out;
  expect_80_columns(out);
}

TEST_F(CliTest, BackendListAndStatusShowTheReason) {
  const json services =
      with_health(services_answer(), {{"health", "down"}, {"health_reason", "connection refused"}});
  daemon_->answer("GET /v1/services", services);
  daemon_->answer("GET /v1/services/service-a", services["services"][0]);
  const auto list = teal({"backend", "list", "service-a"}).out;
  EXPECT_TRUE(contains(list, "HEALTH")) << list;
  EXPECT_TRUE(contains(list, "down: connection refused")) << list;
  EXPECT_TRUE(contains(list, "service-a/blue/198.18.2.11:8080")) << list;
  const auto page = teal({"status", "service-a"}).out;
  EXPECT_TRUE(contains(page, "down: connection")) << page;
}

TEST_F(CliTest, AnEjectedBackendIsShownEverywhereAlsoWithoutACheck) {
  const json ejected = {{"until", "2026-11-23T05:30:30.000Z"},
                        {"failures", 5},
                        {"times", 1},
                        {"reason", "5 failures since its last answer"}};
  const json services = with_health(services_answer(), {{"health", nullptr}, {"ejected", ejected}});
  daemon_->answer("GET /v1/services", services);
  daemon_->answer("GET /v1/services/service-a", services["services"][0]);
  const auto list = teal({"backend", "list", "service-a"}).out;
  EXPECT_TRUE(contains(list, "ejected until 2026-11-23 05:30:30Z: 5 failures\n")) << list;
  const auto page = teal({"status", "service-a"}).out;
  EXPECT_TRUE(contains(page, "ejected until")) << page;
  EXPECT_EQ(teal({"wait", "service-a", "--for", "healthy", "--timeout", "50ms"}).exit_code, 4);
  json health = health_answer();
  health["services"][1]["backends"][0]["ejected"] = ejected;
  daemon_->answer("GET /v1/health", health);
  const auto shown = teal({"health"}).out;
  expect_80_columns(shown);
  EXPECT_TRUE(contains(shown, "service-b")) << shown;
}

TEST_F(CliTest, StatusWarnsOfASilentProber) {
  json services = services_answer();
  services["health"] = {
      {"checked", 3}, {"connected", true}, {"fresh", false}, {"unknown_since", "2026-11-23T06:00:00.000Z"}};
  daemon_->answer("GET /v1/services", services);
  const auto out = teal({"status"}).out;
  EXPECT_TRUE(contains(out, "teal-health is silent: health is unknown since 2026-11-23 06:00:00Z")) << out;
}

TEST_F(CliTest, WaitForHealthyWaitsUntilCheckedBackendsAreUp) {
  const auto wait = [&](const json& fields) {
    daemon_->answer("GET /v1/services/service-a", with_health(services_answer(), fields)["services"][0]);
    return teal({"wait", "service-a", "--for", "healthy", "--timeout", "50ms"});
  };
  EXPECT_EQ(wait({{"health", "up"}}).exit_code, 0);
  EXPECT_EQ(wait({{"health", nullptr}}).exit_code, 0) << "no check";
  const auto down = wait({{"health", "down"}, {"health_reason", "no answer within 1 s"}});
  EXPECT_EQ(down.exit_code, 4);
  EXPECT_TRUE(contains(down.err, "service-a: not up: 198.18.2.21:8080: down: no answer within 1 s (green)"))
      << down.err;
  EXPECT_EQ(wait({{"health", "unchecked"}}).exit_code, 4);
  const auto unknown = wait({{"health", "up"}, {"health_unknown_since", nullptr}});
  EXPECT_EQ(unknown.exit_code, 4);
  EXPECT_TRUE(contains(unknown.err, "last known: up")) << unknown.err;
}

}  // namespace
}  // namespace teal::cli
