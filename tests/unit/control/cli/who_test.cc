// SPDX-License-Identifier: Apache-2.0
//
// Users, times and durations as an operator reads them; requests that are sent twice, and lost answers.
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json history_of(const json& who) {
  json change = {{"id", 1},        {"generation", 5},
                 {"verb", "flip"}, {"changes", json::array()},
                 {"reason", ""},   {"at", "2026-11-23T05:30:00.123Z"},
                 {"detail", ""},   {"result", "done"},
                 {"revision", 5},  {"duration_us", 3140}};
  change.update(who);
  return {{"changes", {change}}, {"truncated", false}};
}

// --- who ---

TEST_F(CliTest, TheHistorySaysInEnglishWhoDidIt) {
  const std::pair<json, const char*> cases[] = {
      {{{"uid", 1000}, {"user", "alice"}, {"by_root", false}}, "  alice  done"},
      {{{"uid", 1000}, {"user", "alice"}, {"by_root", true}}, "  alice (as root)  done"},
      {{{"uid", nullptr}, {"user", "teald"}, {"by_root", false}}, "  teald  done"},
      {{{"uid", 59990}, {"user", ""}, {"by_root", false}}, "  user 59990  done"}};
  for (const auto& [who, shown] : cases) {
    daemon_->answer("GET /v1/history?limit=20", history_of(who));
    EXPECT_TRUE(contains(teal({"history"}).out, shown)) << teal({"history"}).out;
  }
}

TEST_F(CliTest, ALockSaysInEnglishWhoLocked) {
  auto summary = summary_answer();
  summary["lock"] = {{"uid", 59990},
                     {"user", ""},
                     {"reason", "x"},
                     {"since", "2026-11-23T05:00:00.000Z"},
                     {"by_root", true}};
  daemon_->answer("GET /v1/services?view=summary", summary);
  EXPECT_TRUE(teal({"list"}).out.ends_with("locked by user 59990 (as root) since 2026-11-23 05:00:00Z: x\n"))
      << teal({"list"}).out;
}

TEST_F(CliTest, AChangeNamesTheUserWhoLoggedIn) {
  login_uid_ = 1000;
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_login_uid(), "1000");
  login_uid_.reset();
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_login_uid(), "");
}

// --- when ---

TEST_F(CliTest, TimesHaveOneFormat) {
  const std::string data =
      R"({"at":"2026-11-23T05:30:00.123Z","generation":13,"verb":"flip","user":"alice","uid":1000,)"
      R"("duration_us":3140})";
  daemon_->answer("GET /v1/events?since=0", Answer{.body = "id: 1\nevent: done\ndata: " + data + "\n\n",
                                                   .way = Answer::Way::kStreamEnds});
  EXPECT_EQ(teal({"events"}).out,
            "            1  2026-11-23 05:30:00Z  done            generation 13, flip, by alice, 3.1ms\n");
  daemon_->answer("POST /v1/flip",
                  error_answer("locked", "alice locked all changes at 2026-11-23T05:30:00.123Z: audit"), 423);
  EXPECT_TRUE(contains(teal({"flip", "service-a", "--to", "green"}).err, "at 2026-11-23 05:30:00Z: audit"));
  daemon_->answer("POST /v1/drain", json{{"generation", 13},
                                         {"revision", 13},
                                         {"dry_run", true},
                                         {"dataplane_running", true},
                                         {"changed", json::array()},
                                         {"unchanged", {"a"}},
                                         {"nothing_drains", json::array()},
                                         {"warnings", json::array()},
                                         {"drains",
                                          {{{"service", "a"},
                                            {"colour", "blue"},
                                            {"flows", 3},
                                            {"deadline", "2026-11-23T05:35:00.123Z"},
                                            {"seconds_left", 252.4},
                                            {"then", "reset"},
                                            {"resets", 3}}}}});
  EXPECT_TRUE(contains(teal({"drain", "a", "--then", "reset", "--dry-run"}).out,
                       "reset at 2026-11-23 05:35:00Z, in 4m12s"));
}

TEST_F(CliTest, DurationsHaveOneFormat) {
  EXPECT_TRUE(contains(teal({"flip", "service-a", "--to", "green"}).out, "slowest 3.1us"));
  daemon_->answer("GET /v1/history?limit=20", history_of({{"uid", 0}, {"user", "root"}, {"by_root", false}}));
  EXPECT_TRUE(contains(teal({"history"}).out, "done, 3.1ms"));
  daemon_->answer("GET /v1/services?view=summary", Answer{.way = Answer::Way::kNever});
  EXPECT_TRUE(contains(teal({"list", "--timeout", "100ms"}).err, "did not answer within 100ms (--timeout)"));
}

// --- which revision ---

TEST_F(CliTest, StatusAndHistoryShowTheRevision) {
  auto services = services_answer();
  services["revision"] = 11;
  daemon_->answer("GET /v1/services", services);
  EXPECT_TRUE(teal({"status"}).out.starts_with("generation 12, revision 11; 2 workers"))
      << teal({"status"}).out;
  auto history = history_of({{"uid", 0}, {"user", "root"}, {"by_root", false}});
  history["changes"].push_back(history["changes"][0]);
  history["changes"][1]["revision"] = nullptr;
  daemon_->answer("GET /v1/history?limit=20", history);
  EXPECT_TRUE(contains(teal({"history"}).out, "GEN  REV  WHEN"));
}

TEST_F(CliTest, EveryChangeTakesTheRevisionThatItExpects) {
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--if-revision", "11"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}, {"to", "green"}, {"if_revision", 11}}));
  EXPECT_EQ(teal({"unlock", "--if-revision", "x"}).exit_code, 2);
}

// --- requests ---

TEST_F(CliTest, EachChangeHasARequestIdOfItsOwnUnlessOneIsGiven) {
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green"}).exit_code, 0);
  const auto first = daemon_->last_request_id();
  EXPECT_EQ(first.size(), 32u) << first;
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green"}).exit_code, 0);
  EXPECT_NE(daemon_->last_request_id(), first);
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--request-id", "deploy-42"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_request_id(), "deploy-42");
}

TEST_F(CliTest, ABadRequestIdIsAUsageErrorThatSaysWhatWasExpected) {
  for (const std::string& bad : {std::string(), std::string("two words"), std::string(129, 'x')}) {
    const auto result = teal({"flip", "service-a", "--to", "green", "--request-id", bad});
    EXPECT_EQ(result.exit_code, 2) << bad;
    EXPECT_TRUE(contains(
        result.err, "--request-id is \"" + bad + "\"; expected 1 to 128 ASCII characters without a space"))
        << result.err;
  }
  EXPECT_EQ(teal({"unlock", "--dry-run", "--request-id", "two words"}).exit_code, 2);
  EXPECT_TRUE(daemon_->requests().empty()) << "nothing was sent";
}

TEST_F(CliTest, AChangeWhoseAnswerIsLostIsSentAgainWithItsId) {
  auto repeated = flip_answer();
  repeated["repeated"] = true;
  daemon_->answer_in_turn("POST /v1/flip",
                          {{.body = "{", .way = Answer::Way::kCut}, {.body = repeated.dump()}});
  pauses_ = 10;
  const auto result = teal({"flip", "service-a", "--to", "green", "--request-id", "deploy-42"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      result.out,
      "generation 13: service-a, service-b blue -> green; an earlier request with this id made the change\n");
  EXPECT_EQ(daemon_->requests().size(), 2u);
  EXPECT_EQ(daemon_->last_request_id(), "deploy-42");
}

TEST_F(CliTest, ALostAnswerToAChangeIsExitCode8) {
  pauses_ = 10;
  daemon_->answer("POST /v1/flip", Answer{.body = "{", .way = Answer::Way::kCut});
  const auto cut = teal({"flip", "service-a", "--to", "green", "--request-id", "deploy-42"});
  EXPECT_EQ(cut.exit_code, 8);
  EXPECT_TRUE(contains(cut.err,
                       "hint: teal history says whether the change was made; or repeat the command with "
                       "--request-id deploy-42"))
      << cut.err;
  daemon_->answer("POST /v1/flip", Answer{.way = Answer::Way::kNever});
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--timeout", "100ms"}).exit_code, 8);
  daemon_->answer("GET /v1/services?view=summary", Answer{.body = "{", .way = Answer::Way::kCut});
  EXPECT_EQ(teal({"list"}).exit_code, 7) << "nothing can have changed";
  daemon_->answer("POST /v1/flip", Answer{.body = "{", .way = Answer::Way::kCut});
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green", "--dry-run"}).exit_code, 7);
}

TEST_F(CliTest, AChangeThatWasNotSentIsExitCode7) {
  daemon_.reset();
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_TRUE(contains(result.err, "; nothing was sent\n")) << result.err;
}

}  // namespace
}  // namespace teal::cli
