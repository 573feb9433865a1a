// SPDX-License-Identifier: Apache-2.0
//
// The verbs that wait: wait, --wait, events.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

class WaitTest : public CliTest {
 protected:
  WaitTest() { pauses_ = 1000; }

  static json service_a(int blue_flows, const char* active = "green") {
    auto service = services_answer()["services"][0];
    service["active"] = active;
    service["colours"]["blue"]["flows"] = blue_flows;
    if (blue_flows == 0) service["draining"] = nullptr;
    return service;
  }
};

TEST_F(WaitTest, DrainedIsWhenNoFlowOfTheOtherColourIsLeft) {
  daemon_->answers("GET /v1/services/service-a", {service_a(198), service_a(5), service_a(0)});
  const auto result = teal({"wait", "service-a", "--for", "drained"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("service-a is drained (")) << result.out;
  EXPECT_EQ(daemon_->requests().size(), 6u) << "each time the service, and whether a dataplane runs";
}

// Flows of a preview, or of a ramp's share, are younger than the flip: the drain is over without them.
TEST_F(WaitTest, NoWaitIsForFlowsThatNoDrainWaitsFor) {
  auto previewed = service_a(7);
  previewed["draining"] = nullptr;
  daemon_->answer("GET /v1/services/service-a", previewed);
  for (const char* condition : {"drained", "settled", "rolled-out"}) {
    const auto result = teal({"wait", "service-a", "--for", condition, "--timeout", "50ms"});
    EXPECT_EQ(result.exit_code, 0) << condition << ": " << result.err;
  }
  auto one = flip_answer();
  one["changed"].erase(1);
  daemon_->answer("POST /v1/flip", one);
  const auto flip = teal({"flip", "service-a", "--to", "green", "--wait", "--timeout", "50ms"});
  EXPECT_EQ(flip.exit_code, 0) << flip.err;
}

TEST_F(WaitTest, NothingIsDrainedBeforeAStartOfTheDataplaneHasCountedItsFlows) {
  auto uncounted = service_a(0);
  uncounted["drained"] = false;
  daemon_->answer("GET /v1/services/service-a", uncounted);
  const auto result = teal({"wait", "service-a", "--for", "drained", "--timeout", "50ms"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(contains(result.err, "service-a: the flows that are left are not counted yet\n")) << result.err;
  auto counted = uncounted;
  counted["drained"] = true;
  daemon_->answers("GET /v1/services/service-a", {uncounted, counted});
  EXPECT_EQ(teal({"wait", "service-a", "--for", "drained"}).exit_code, 0);
}

TEST_F(WaitTest, NothingIsDrainedOrHealthyWithoutADataplane) {
  daemon_->answer("GET /v1/services/service-a", service_a(0));
  auto dead = summary_answer();
  dead["dataplane"]["running"] = false;
  daemon_->answer("GET /v1/services?view=summary", dead);
  for (const char* condition : {"drained", "healthy", "settled"}) {
    const auto result = teal({"wait", "service-a", "--for", condition, "--timeout", "50ms"});
    EXPECT_EQ(result.exit_code, 4) << condition;
    EXPECT_TRUE(contains(result.err, "the dataplane is not running\n")) << result.err;
  }
  auto one = flip_answer();
  one["changed"].erase(1);
  daemon_->answer("POST /v1/flip", one);
  const auto flip = teal({"flip", "service-a", "--to", "green", "--wait", "--timeout", "50ms"});
  EXPECT_EQ(flip.exit_code, 4) << "the change itself stays in force";
}

TEST_F(WaitTest, HealthyTakesAColour) {
  const auto service = services_answer()["services"][0];  // green is active, and has no next hop
  daemon_->answer("GET /v1/services/service-a", service);
  EXPECT_EQ(teal({"wait", "service-a", "--for", "healthy", "--colour", "blue"}).exit_code, 0);
  EXPECT_EQ(
      teal({"wait", "service-a", "--for", "healthy", "--colour", "green", "--timeout", "50ms"}).exit_code, 4);
  const auto wrong = teal({"wait", "service-a", "--for", "drained", "--colour", "blue"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_TRUE(contains(wrong.err, "--colour needs --for healthy or rolled-out, and --for is drained"))
      << wrong.err;
  EXPECT_EQ(teal({"wait", "service-a", "--for", "healthy", "--colour", "red"}).exit_code, 2);
}

TEST_F(WaitTest, ATimeoutIsExitCode4AndSaysWhatIsLeft) {
  const auto result = teal({"wait", "--group", "shop", "--for", "drained", "--timeout", "100ms"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_EQ(result.out, "") << "a progress line is for terminals";
  EXPECT_EQ(
      result.err,
      "service-a: 198 flows of blue left, done in about 33s\n"
      "teal: not drained within 100ms\n"
      "hint: teal drain service-a shows their clients; to end them: teal drain service-a --timeout 1s --then "
      "reset\n");
  const auto as_json = json::parse(
      teal({"wait", "service-a", "--for", "drained", "--timeout", "100ms", "-o", "json"}).out)["error"];
  EXPECT_EQ(as_json["code"], "timeout");
  EXPECT_EQ(as_json["details"].size(), 1u);
}

TEST_F(WaitTest, HealthyIsWhenEveryBackendThatTakesFlowsHasANextHop) {
  auto service = services_answer()["services"][0];  // its only green backend has none
  auto well = service;
  well["colours"]["green"]["backends"][0]["next_hop"] = "resolved";
  daemon_->answers("GET /v1/services/service-a", {service, well});
  EXPECT_EQ(teal({"wait", "service-a", "--for", "healthy"}).exit_code, 0);

  daemon_->answer("GET /v1/services/service-a", service);
  const auto ill = teal({"wait", "service-a", "--for", "healthy", "--timeout", "50ms"});
  EXPECT_EQ(ill.exit_code, 4);
  EXPECT_TRUE(contains(ill.err, "service-a: no next hop for 198.18.2.21:8080 (green)\n")) << ill.err;

  service["colours"]["green"]["backends"][0]["state"] = "maint";  // it is not asked of
  daemon_->answer("GET /v1/services/service-a", service);
  const auto none = teal({"wait", "service-a", "--for", "healthy", "--timeout", "50ms"});
  EXPECT_EQ(none.exit_code, 4) << "a pool that takes nothing is not well";
  EXPECT_TRUE(contains(none.err, "service-a: no backend of green is ready\n")) << none.err;
}

TEST_F(WaitTest, NothingIsHealthyWithoutADataplane) {
  auto service = services_answer()["services"][0];
  service["colours"]["green"]["backends"][0]["next_hop"] = "resolved";
  daemon_->answer("GET /v1/services/service-a", service);
  auto absent = summary_answer();
  absent["dataplane"]["running"] = false;
  daemon_->answer("GET /v1/services?view=summary", absent);
  const auto result = teal({"wait", "service-a", "--for", "healthy", "--timeout", "50ms"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(contains(result.err, "the dataplane is not running\n")) << result.err;
  EXPECT_TRUE(contains(result.err, "hint: systemctl status teal-dataplane\n")) << result.err;
}

TEST_F(WaitTest, SettledIsDrainedAndAdopted) {
  daemon_->answer("GET /v1/services/service-a", service_a(0));
  auto behind = summary_answer(), absent = summary_answer();
  behind["dataplane"]["adopted_generation"] = 11;
  absent["dataplane"]["running"] = false;
  daemon_->answers("GET /v1/services?view=summary", {absent, behind, summary_answer()});
  EXPECT_EQ(teal({"wait", "service-a", "--for", "settled"}).exit_code, 0);
  EXPECT_EQ(daemon_->requests().size(), 6u);

  daemon_->answer("GET /v1/services?view=summary", behind);
  const auto result = teal({"wait", "service-a", "--for", "settled", "--timeout", "50ms"});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(contains(result.err, "a worker is on generation 11, the latest is 12\n")) << result.err;
  EXPECT_TRUE(contains(result.err, "teal stats"));
}

TEST_F(WaitTest, OutlivesARestartOfTheDaemonButNotItsAbsence) {
  at_pause_ = [this, made = 0]() mutable {
    if (++made == 1) daemon_.reset();
    if (made == 3) {
      ::unlink(socket_.c_str());
      daemon_ = std::make_unique<FakeDaemon>(socket_);
      daemon_->answer("GET /v1/services/service-a", service_a(0));
      daemon_->answer("GET /v1/services?view=summary", summary_answer());
    }
  };
  EXPECT_EQ(teal({"wait", "service-a", "--for", "drained"}).exit_code, 0);
  at_pause_ = [] {};
  daemon_.reset();
  EXPECT_EQ(teal({"wait", "service-a", "--for", "drained"}).exit_code, 7) << "it never answered";
}

TEST_F(WaitTest, ADaemonThatIsNotReadyYetIsAskedAgain) {
  daemon_->answers("GET /v1/services/service-a", {service_a(5), service_a(0)});
  at_pause_ = [this, made = 0]() mutable {
    ++made;
    if (made == 1) daemon_->answer("GET /v1/services/service-a", error_answer("not_ready", "starting"), 503);
    if (made == 3) daemon_->answer("GET /v1/services/service-a", service_a(0));
  };
  EXPECT_EQ(teal({"wait", "service-a", "--for", "drained"}).exit_code, 0);
}

TEST_F(WaitTest, AnUnknownServiceIsNotWaitedFor) {
  daemon_->answer("GET /v1/services/service-x", error_answer("unknown_service", "no service \"service-x\""),
                  404);
  EXPECT_EQ(teal({"wait", "service-x", "--for", "drained"}).exit_code, 1);
}

TEST_F(WaitTest, AsksForManyServicesAtOnce) {
  std::vector<std::string> words = {"wait", "--for", "drained"};
  auto all = services_answer();
  for (int i = 0; i < 9; ++i) {
    auto service = service_a(0);
    service["name"] = "s" + std::to_string(i);
    all["services"].push_back(service);
    words.push_back(service["name"]);
  }
  daemon_->answer("GET /v1/services", all);
  const auto result = teal(words);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("9 services are drained ("));
  EXPECT_EQ(daemon_->requests(),
            (std::vector<std::string>{"GET /v1/services", "GET /v1/services?view=summary"}));
}

TEST_F(WaitTest, ShowsProgressOnATerminalOnly) {
  daemon_->answers("GET /v1/services/service-a", {service_a(198), service_a(0)});
  const auto out = teal_on_terminal({"wait", "service-a", "--for", "drained"}).out;
  EXPECT_TRUE(out.starts_with("\rservice-a: 198 flows of blue left, done in about 33s\033[K\r\033[K")) << out;
}

TEST_F(WaitTest, FlipWaitsForTheDrainOfWhatItFlipped) {
  daemon_->answers("GET /v1/services/service-a", {service_a(198), service_a(0)});
  auto b = services_answer()["services"][1];
  b["active"] = "green";
  b["colours"]["blue"]["flows"] = 0;
  daemon_->answer("GET /v1/services/service-b", b);
  const auto result = teal({"flip", "--group", "shop", "--to", "green", "--wait"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("generation 13: service-a, service-b blue -> green; adopted"));
  EXPECT_TRUE(contains(result.out, "\nservice-a, service-b are drained ("));
  const auto as_json =
      json::parse(teal({"flip", "--group", "shop", "--to", "green", "--wait", "-o", "json"}).out);
  EXPECT_EQ(as_json["generation"], 13);
  EXPECT_EQ(as_json["waited"]["condition"], "drained");
}

TEST_F(WaitTest, AFlipWhoseDrainTakesTooLongStands) {
  const std::vector<std::string> words = {"flip",   "service-a", "--to", "green",
                                          "--wait", "--timeout", "50ms"};
  auto answer = flip_answer();
  answer["changed"].erase(1);
  daemon_->answer("POST /v1/flip", answer);
  const auto result = teal(words);
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_TRUE(result.out.starts_with("generation 13: service-a blue -> green;"));
  EXPECT_TRUE(contains(result.err, "not drained within 50ms; the change itself stays in force\n"))
      << result.err;
  auto in_json = words;
  in_json.insert(in_json.end(), {"-o", "json"});
  const auto document = json::parse(teal(in_json).out);
  EXPECT_EQ(document["error"]["code"], "timeout");
  EXPECT_EQ(document["done"]["generation"], 13) << "a script has to see that it was flipped";
}

TEST_F(WaitTest, AFlipThatSomebodyRollsBackIsExitCode6) {
  auto answer = flip_answer();
  answer["changed"].erase(1);
  daemon_->answer("POST /v1/flip", answer);
  daemon_->answers("GET /v1/services/service-a", {service_a(198), service_a(198, "blue")});
  const auto result = teal({"flip", "service-a", "--to", "green", "--wait"});
  EXPECT_EQ(result.exit_code, 6);
  EXPECT_EQ(result.err,
            "teal: service-a is blue, and no rollout to green is under way\n"
            "hint: teal history service-a shows who changed it, and why\n");
}

TEST_F(WaitTest, ADryRunOfAFlipWaitsForNothing) {
  auto answer = flip_answer();
  answer["dry_run"] = true;
  daemon_->answer("POST /v1/flip", answer);
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--wait", "--dry-run"}).exit_code, 0);
  EXPECT_EQ(daemon_->requests().size(), 1u);
}

// ---- events ----

std::string sse(int id, const char* type, const json& data) {
  return "id: " + std::to_string(id) + "\nevent: " + type + "\ndata: " + data.dump() + "\n\n";
}

json flip_event(int generation) {
  return {{"at", "2026-11-23T05:30:00.123Z"},
          {"generation", generation},
          {"verb", "flip"},
          {"services", {{{"service", "service-a"}, {"from", "blue"}, {"to", "green"}}}}};
}

TEST_F(WaitTest, EventsPrintsWhatIsKeptAndEnds) {
  auto done = flip_event(13);
  done["result"] = "done";
  done["duration_us"] = 4913;
  daemon_->answer(
      "GET /v1/events?since=0",
      Answer{.body = ": teald 0.1.0\n\n" + sse(1, "published", flip_event(13)) + sse(2, "done", done) +
                     sse(3, "drained",
                         {{"at", "2026-11-23T05:31:00.000Z"}, {"service", "service-a"}, {"colour", "blue"}}),
             .way = Answer::Way::kStream});
  const auto result = teal({"events"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      result.out,
      "            1  2026-11-23 05:30:00Z  published       generation 13, flip service-a blue -> green\n"
      "            2  2026-11-23 05:30:00Z  done            generation 13, flip service-a blue -> green, "
      "4.9ms\n"
      "            3  2026-11-23 05:31:00Z  drained         colour blue, service service-a\n")
      << "the ids are for --since";
  std::istringstream lines(teal({"events", "-o", "json"}).out);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto first = json::parse(line);
  EXPECT_EQ(first["id"], 1);
  EXPECT_EQ(first["event"], "published");
  EXPECT_EQ(first["generation"], 13);
  const auto refused = teal({"events", "--since", "99"});  // not in the test's table
  EXPECT_EQ(refused.exit_code, 1) << refused.err;
  EXPECT_TRUE(contains(refused.err, "not in the test's table")) << refused.err;
}

TEST_F(WaitTest, EventsContinuesFromTheIdThatItGotBeforeAnyEvent) {
  daemon_->answer("GET /v1/events",
                  Answer{.body = ": teald 0.1.0\nid: 6\n\n", .way = Answer::Way::kStreamEnds});
  daemon_->answer("GET /v1/events?since=6",
                  Answer{.body = sse(7, "done", flip_event(13)), .way = Answer::Way::kStreamEnds});
  pauses_ = 2;
  const auto result = teal({"events", "-f"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "done")) << "told during the pause: " << result.out;
  EXPECT_FALSE(contains(result.out, "text"));
}

TEST_F(WaitTest, EventsFollowsWithTheLastIdWhileItIsTheSameDaemon) {
  daemon_->answer("GET /v1/events",
                  Answer{.body = sse(7, "published", flip_event(13)), .way = Answer::Way::kStreamEnds});
  daemon_->answer("GET /v1/events?since=7",
                  Answer{.body = sse(8, "done", flip_event(13)), .way = Answer::Way::kStreamEnds});
  pauses_ = 2;
  const auto result = teal({"events", "-f"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, "published") && contains(result.out, "done")) << result.out;
  EXPECT_EQ(daemon_->last_event_id(), "");  // of the last /v1/version
  EXPECT_EQ(result.err, "") << "a connection that was closed is no news";
}

TEST_F(WaitTest, EventsSaysWhenTealdIsGoneAndBackAndContinues) {
  daemon_->answer("GET /v1/events?since=5",
                  Answer{.body = sse(7, "published", flip_event(13)), .way = Answer::Way::kStreamEnds});
  at_pause_ = [this, made = 0]() mutable {
    if (++made == 1) daemon_.reset();
    if (made == 3) {
      ::unlink(socket_.c_str());
      daemon_ = std::make_unique<FakeDaemon>(socket_);
      daemon_->answer("GET /v1/version", {{"version", "0.1.0"}, {"pid", 8}, {"uptime_seconds", 0.2}});
      daemon_->answer("GET /v1/events?since=7",
                      Answer{.body = sse(2000, "dataplane_up", {{"at", "2026-11-23T05:40:00.000Z"}}),
                             .way = Answer::Way::kStreamEnds});
    }
  };
  pauses_ = 4;
  const auto result = teal({"events", "-f", "--since", "5"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(contains(result.err, "teal: teald does not answer; waiting for it (")) << result.err;
  EXPECT_TRUE(contains(result.err, "teal: teald answers again, pid 8\n")) << result.err;
  EXPECT_TRUE(contains(result.out, "dataplane_up")) << result.out;
}

TEST_F(WaitTest, EventsSaysWhenSomeWereLost) {
  const Answer answer{
      .body = "event: lost\ndata: {\"after\":5,\"next\":2000}\n\n" + sse(2000, "published", flip_event(13)),
      .way = Answer::Way::kStream};
  daemon_->answer("GET /v1/events?since=5", answer);
  daemon_->answer("GET /v1/events?since=0", answer);
  const auto result = teal({"events", "--since", "5"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "teal: events were lost: the oldest event that teald keeps has id 2000\n");
  EXPECT_EQ(teal({"events"}).err, "") << "it asks for no more than is kept";
  const auto as_json = teal({"events", "--since", "5", "-o", "json"});
  EXPECT_EQ(as_json.err, "");
  EXPECT_EQ(json::parse(as_json.out.substr(0, as_json.out.find('\n')))["event"], "lost");
}

}  // namespace
}  // namespace teal::cli
