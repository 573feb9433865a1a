// SPDX-License-Identifier: Apache-2.0
//
// Tests how `teal status SERVICE` shows the signals of both colours.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json outcomes(int begun, int answered, int refused, int unanswered) {
  return {{"begun", begun}, {"answered", answered}, {"refused", refused}, {"unanswered", unanswered},
          {"reset", 0},     {"without_reply", 0},   {"answered_data", 0}, {"slow", 0}};
}

json with_signals() {
  json answer = services_answer();
  auto& colours = answer["services"][0]["colours"];
  colours["blue"]["backends"][0]["outcomes"] = outcomes(1000, 999, 1, 0);
  colours["blue"]["backends"][1]["outcomes"] = outcomes(1000, 1000, 0, 0);
  colours["green"]["backends"][0]["outcomes"] = outcomes(20, 0, 15, 5);
  colours["blue"]["times"] = {{"handshake", {{"count", 9}, {"p50_us", 64}, {"p99_us", 128}}},
                              {"first_answer", {{"count", 9}, {"p50_us", 64}, {"p99_us", 4096}}}};
  colours["green"]["times"] = {{"handshake", {{"count", 0}, {"p50_us", nullptr}, {"p99_us", nullptr}}},
                               {"first_answer", {{"count", 0}, {"p50_us", nullptr}, {"p99_us", nullptr}}}};
  return answer;
}

TEST_F(CliTest, StatusOfAServiceShowsTheSignalsOfBothColours) {
  daemon_->answer("GET /v1/services", with_signals());
  const auto page = teal({"status", "service-a"}).out;
  expect_80_columns(page);
  EXPECT_TRUE(contains(page,
                       "SERVICE    SIGNAL                               BLUE        GREEN\n"
                       "service-a  begun                                2000           20\n"
                       "           answered                   1999 (100.0 %)            0\n"
                       "           refused                         1 (0.1 %)  15 (75.0 %)\n"))
      << page;
  EXPECT_TRUE(contains(page, "first answer, 99 % within")) << page;
  EXPECT_TRUE(contains(page, "4.1ms")) << page;
  EXPECT_FALSE(contains(page, "without a reply")) << "TCP has no such signal";
  EXPECT_FALSE(contains(teal({"status"}).out, "first answer")) << "only of named services";
}

TEST_F(CliTest, StatusMarksABackendThatAnswersNothing) {
  daemon_->answer("GET /v1/services", with_signals());
  const auto page = teal({"status", "service-a"}).out;
  EXPECT_TRUE(contains(page, "flow answered: 15")) << page;
}

TEST_F(CliTest, AServiceWithoutFlowsHasNoSignals) {
  EXPECT_FALSE(contains(teal({"status", "service-b"}).out, "unanswered"));
}

TEST_F(CliTest, UdpHasOnlyTheSignalsThatUdpGives) {
  json answer = with_signals();
  answer["services"][0]["protocol"] = "udp";
  daemon_->answer("GET /v1/services", answer);
  const auto page = teal({"status", "service-a"}).out;
  EXPECT_TRUE(contains(page, "without a reply")) << page;
  EXPECT_FALSE(contains(page, "handshake")) << page;
}

}  // namespace
}  // namespace teal::cli
