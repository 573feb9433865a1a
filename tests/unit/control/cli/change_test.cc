// SPDX-License-Identifier: Apache-2.0
//
// The verbs that change something: their requests, output and exit codes.
#include <sstream>

#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

json dry(json answer) {
  answer["dry_run"] = true;
  answer["generation"] = 12;
  return answer;
}

TEST_F(CliTest, FlipSendsTheRequestAndTellsTheAnswer) {
  const auto result = teal(
      {"flip", "service-a", "service-b", "--to", "green", "--if-generation", "12", "--reason", "release 42"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out,
            "generation 13: service-a, service-b blue -> green; adopted by 2 of 2 workers, slowest 3.1us\n");
  EXPECT_EQ(daemon_->last_request(), "POST /v1/flip");
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a", "service-b"}},
                                        {"to", "green"},
                                        {"if_generation", 12},
                                        {"reason", "release 42"}}));

  EXPECT_EQ(teal({"flip", "-g", "shop", "-t", "blue", "--force"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"group", "shop"}, {"to", "blue"}, {"force", true}}));
}

TEST_F(CliTest, FlipSaysWhatStaysAsItIs) {
  auto answer = flip_answer();
  answer["unchanged"] = {"service-c"};
  daemon_->answer("POST /v1/flip", answer);
  EXPECT_TRUE(teal({"flip", "-g", "shop", "-t", "green"}).out.ends_with("\nunchanged: service-c\n"));
  answer["changed"] = json::array();
  daemon_->answer("POST /v1/flip", answer);
  EXPECT_EQ(teal({"flip", "service-c", "-t", "green"}).out,
            "generation 13: nothing to change, service-c is already there\n");
}

TEST_F(CliTest, RollbackTakesServicesAGroupOrAGeneration) {
  const auto all = teal({"rollback", "--to-generation", "7"});
  EXPECT_EQ(all.exit_code, 2);
  EXPECT_EQ(all.err,
            "teal rollback: --to-generation needs SERVICE..., --group GROUP or --all\n"
            "hint: --all returns every service to its colour in that generation\n");
  EXPECT_EQ(teal({"rollback", "--all"}).exit_code, 2);
  EXPECT_EQ(teal({"rollback", "--group", "shop"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_request(), "POST /v1/rollback");
  EXPECT_EQ(daemon_->last_body(), json({{"group", "shop"}}));
  EXPECT_EQ(teal({"rollback", "--to-generation", "7", "--all"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"all", true}, {"to_generation", 7}}));
  EXPECT_EQ(teal({"rollback", "service-a", "--to-generation", "7", "--dry-run"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(),
            json({{"services", {"service-a"}}, {"to_generation", 7}, {"dry_run", true}}));
}

TEST_F(CliTest, RollbackNamesTheGenerationThatItSaw) {
  daemon_->answer("GET /v1/version", {{"version", "0.1.0"}, {"generation", 12}});
  EXPECT_EQ(teal({"rollback", "service-a"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}, {"seen_generation", 12}}));
  daemon_->answer("GET /v1/version", error_answer("too_many_connections", "full"), 503);
  EXPECT_EQ(teal({"rollback", "service-a"}).exit_code, 0) << "the way back does not depend on the question";
  EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}}));
}

TEST_F(CliTest, RollbackGoesAheadWhereTheQuestionBeforeItGetsNoAnswer) {
  for (const auto way : {Answer::Way::kNever, Answer::Way::kCut, Answer::Way::kNoHttp}) {
    daemon_->answer("GET /v1/version", Answer{.body = "{", .way = way});
    const auto result = teal({"rollback", "service-a", "--timeout", "300ms"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(daemon_->last_request(), "POST /v1/rollback");
    EXPECT_EQ(daemon_->last_body(), json({{"services", {"service-a"}}}));
  }
  daemon_.reset();
  const auto result = teal({"rollback", "service-a"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_TRUE(contains(result.err, "cannot reach teald")) << result.err;
  EXPECT_TRUE(contains(result.err, "; nothing was sent\n")) << result.err;
}

TEST_F(CliTest, AMessageHasOnePrefix) {
  daemon_->answer("POST /v1/flip", error_answer("refused", "nothing was changed: no reason"), 422);
  daemon_->answer("GET /v1/services?view=summary", Answer{.body = "[]"});
  const std::vector<std::string> commands[] = {{"filp"},
                                               {"flip"},
                                               {"flip", "service-a", "--to", "red"},
                                               {"flip", "service-a", "--to", "green"},
                                               {"rollback", "--all"},
                                               {"backend"},
                                               {"backend", "sett"},
                                               {"status", "--frob"},
                                               {"list"},
                                               {"check", directory_.file("absent.toml")},
                                               {"status", "--socket", directory_.file("absent.sock")}};
  for (const std::vector<std::string>& words : commands) {
    const std::string text = teal(words).err;
    std::istringstream lines(text);
    size_t prefixes = 0;
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("teal: ") || line.starts_with("teal " + words[0])) ++prefixes;
    EXPECT_EQ(prefixes, 1u) << text;
    EXPECT_FALSE(contains(text, "teal: teal ") || contains(text, "teal: teal:")) << text;
  }
}

TEST_F(CliTest, RollbackSaysWhichFlipsItUndidAndWhereNoneWasLeft) {
  const char* const why = "nothing to undo; blue is active since generation 13, a rollback by alice";
  auto answer = change_answer(
      {{"changed", {{{"service", "service-a"}, {"from", "green"}, {"to", "blue"}, {"undoes", {12}}}}},
       {"unchanged", {"service-b"}},
       {"nothing_to_undo", {{{"service", "service-b"}, {"text", why}}}}});
  daemon_->answer("POST /v1/rollback", answer);
  EXPECT_EQ(
      teal({"rollback", "--group", "shop"}).out,
      "generation 13: service-a green -> blue, undoes generation 12; adopted by 2 of 2 workers, slowest "
      "3.1us\nservice-b: " +
          std::string(why) + "\n");
  answer["changed"] = json::array();
  daemon_->answer("POST /v1/rollback", answer);
  const auto nothing = teal({"rollback", "service-b"});
  EXPECT_EQ(nothing.exit_code, 0);
  EXPECT_EQ(nothing.out, "generation 13: nothing to change, no flip is left to undo\nservice-b: " +
                             std::string(why) + "\n");
  EXPECT_EQ(nothing.err,
            "hint: for another colour: teal flip SERVICE --to COLOUR, or teal rollback SERVICE "
            "--to-generation N\n");
}

TEST_F(CliTest, ADryRunNamesTheHooksThatItDoesNotRun) {
  json answer = dry(flip_answer());
  answer["pre_flip"] = {
      {{"services", {"service-a", "service-b"}}, {"command", "/usr/lib/x"}, {"timeout_seconds", 30.0}}};
  daemon_->answer("POST /v1/flip", answer);
  const auto result = teal({"flip", "service-a", "service-b", "--to", "green", "--dry-run"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_TRUE(contains(result.out,
                       "would first run the hook pre_flip of service-a, service-b: /usr/lib/x, within 30s\n"))
      << result.out;
}

TEST_F(CliTest, ADryRunSaysHowTheNewColourWouldBeJudged) {
  json answer = dry(flip_answer());
  answer["judged"] = {{{"service", "service-a"}, {"bake_seconds", 120.0}, {"on_bad", "rollback"}},
                      {{"service", "service-b"}, {"bake_seconds", 120.0}, {"on_bad", "rollback"}},
                      {{"service", "service-c"}, {"bake_seconds", 0.0}, {"on_bad", "tell"}}};
  daemon_->answer("POST /v1/flip", answer);
  const auto result = teal({"flip", "service-a", "service-b", "service-c", "--to", "green", "--dry-run"});
  EXPECT_TRUE(contains(result.out,
                       "would judge service-c: bake 0s, on_bad tell\n"
                       "would judge service-a, service-b: bake 2m, on_bad rollback\n"))
      << result.out;
}

TEST_F(CliTest, AnAnswerToADryRunBeginsWithWould) {
  daemon_->answer("POST /v1/flip", dry(flip_answer()));
  daemon_->answer("POST /v1/rollback", dry(flip_answer()));
  daemon_->answer(
      "POST /v1/drain",
      dry(change_answer({{"changed", {{{"service", "a"}, {"timeout_seconds", 120.0}, {"then", "reset"}}}},
                         {"unchanged", json::array()}})));
  daemon_->answer("POST /v1/backend", dry(change_answer({{"changed",
                                                          {{{"service", "a"},
                                                            {"colour", "blue"},
                                                            {"address", "x:1"},
                                                            {"weight", {{"from", "file"}, {"to", 5}}}}}}})));
  daemon_->answer("POST /v1/reload",
                  dry(change_answer({{"plan",
                                      {{"added", {{{"kind", "service"}, {"service", "c"}}}},
                                       {"changed", json::array()},
                                       {"retired", json::array()},
                                       {"restart", json::array()}}}})));
  daemon_->answer("POST /v1/lock", dry(change_answer({{"lock", nullptr}})));
  daemon_->answer("POST /v1/unlock", dry(change_answer({{"lock", nullptr}, {"removed", {{"uid", 0}}}})));
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"flip", "service-a", "service-b", "--to", "green"},
       "would flip service-a, service-b blue -> green; nothing was changed, generation 12\n"},
      {{"rollback", "--group", "shop"}, "would roll back service-a, service-b blue -> green; nothing"},
      {{"drain", "a", "--then", "reset"}, "would drain a for 2m, then reset; nothing"},
      {{"backend", "set", "a/blue/x:1", "--weight", "5"}, "would set a/blue/x:1 weight file -> 5; nothing"},
      {{"reload"}, "would reload: 1 added; nothing was changed, generation 12\nPLAN"},
      {{"lock", "--reason", "x"}, "would lock: "},
      {{"unlock"}, "would unlock: "},
  };
  for (auto [words, start] : cases) {
    words.push_back("--dry-run");
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_TRUE(result.out.starts_with(start)) << result.out;
    EXPECT_EQ(daemon_->last_body()["dry_run"], true);
  }
}

TEST_F(CliTest, WarningsGoToStandardError) {
  auto reply = flip_answer();
  reply["warnings"] = {"the disk is full"};
  daemon_->answer("POST /v1/flip", reply);
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "warning: the disk is full\n");
}

TEST_F(CliTest, ATimeWithoutAUnitIsRefused) {
  const std::vector<std::string> cases[] = {{"drain", "a", "--timeout", "90"},
                                            {"flip", "a", "--to", "blue", "--wait", "--timeout", "90"},
                                            {"wait", "a", "--for", "drained", "--timeout", "90"},
                                            {"list", "--timeout", "90"},
                                            {"status", "--watch", "--interval", "90"}};
  for (const auto& words : cases) {
    const auto result = teal(words);
    EXPECT_EQ(result.exit_code, 2) << words[0];
    EXPECT_TRUE(contains(result.err, ": 90: expected a time with a unit, such as 90s")) << result.err;
  }
}

TEST_F(CliTest, BackendSetSaysWhatBecomesOfTheFlows) {
  const auto answer = [&](const char* to) {
    daemon_->answer("POST /v1/backend", change_answer({{"changed",
                                                        {{{"service", "service-a"},
                                                          {"colour", "blue"},
                                                          {"address", "198.18.2.11:8080"},
                                                          {"state", {{"from", "ready"}, {"to", to}}}}}}}));
  };
  const std::string backend = "service-a/blue/198.18.2.11:8080";
  answer("maint");
  const auto maint = teal({"backend", "set", backend, "maint"});
  EXPECT_EQ(maint.exit_code, 0) << maint.err;
  EXPECT_TRUE(
      maint.out.starts_with("generation 13: " + backend +
                            " ready -> maint: it takes no new flows, and its flows are reset; adopted"));
  EXPECT_EQ(daemon_->last_body(), json({{"service", "service-a"},
                                        {"colour", "blue"},
                                        {"address", "198.18.2.11:8080"},
                                        {"state", "maint"}}));
  answer("drain");
  EXPECT_TRUE(contains(teal({"backend", "set", backend, "drain"}).out, "its flows continue until they end"));
  EXPECT_EQ(teal({"backend", "set", backend, "--weight", "file"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body()["weight"], "file");
  EXPECT_EQ(teal({"backend", "set", backend, "ready", "--weight", "0"}).exit_code, 0);
  EXPECT_EQ(daemon_->last_body()["weight"], 0);
  daemon_->answer("POST /v1/backend", change_answer({{"changed", json::array()}}));
  EXPECT_EQ(teal({"backend", "set", backend, "ready"}).out,
            "generation 13: nothing to change, " + backend + " has this state and weight already\n");
}

TEST_F(CliTest, ReloadShowsItsPlan) {
  const json plan = {
      {"added",
       {{{"kind", "backend"},
         {"service", "web"},
         {"colour", "green"},
         {"address", "198.18.2.23:8080"},
         {"detail", "weight 1"}}}},
      {"changed", {{{"kind", "timeouts"}, {"detail", "flows go by the new ones at once"}}}},
      {"retired",
       {{{"kind", "backend"}, {"service", "web"}, {"address", "198.18.2.11:8080"}, {"flows", 98}}}},
      {"restart", {"[dataplane] workers: configured 4, running 2: restart teal-dataplane to apply it"}}};
  daemon_->answer("POST /v1/reload", change_answer({{"plan", plan}}));
  const auto result = teal({"reload", "--reason", "release 42"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(
      result.out,
      "generation 13: reloaded, 1 added, 1 changed, 1 retired; adopted by 2 of 2 workers, slowest 3.1us\n"
      "PLAN     KIND      NAME                        DETAIL                      FLOWS\n"
      "added    backend   web/green/198.18.2.23:8080  weight 1\n"
      "changed  timeouts                              flows go by the new ones\n"
      "                                               at once\n"
      "retired  backend   web/198.18.2.11:8080                                       98\n"
      "retired: takes no new flows; its 98 flows continue until they end\n"
      "restart: [dataplane] workers: configured 4, running 2: restart teal-dataplane\n"
      "  to apply it\n");
  EXPECT_EQ(daemon_->last_body(), json({{"reason", "release 42"}}));

  const json moves = {
      {"added", json::array()},
      {"changed",
       {{{"kind", "service"}, {"service", "web"}, {"detail", "VIP a -> b"}, {"breaks", 3}},
        {{"kind", "backend"}, {"service", "api"}, {"detail", "moves here from web"}, {"breaks", 4}}}},
      {"retired", {{{"kind", "service"}, {"service", "old"}, {"flows", 5}}}},
      {"restart", json::array()}};
  daemon_->answer("POST /v1/reload", change_answer({{"plan", moves}}));
  EXPECT_TRUE(contains(teal({"reload"}).out,
                       "PLAN     KIND     NAME  DETAIL               FLOWS\n"
                       "changed  service  web   VIP a -> b               3\n"
                       "changed  backend  api   moves here from web      4\n"
                       "retired  service  old                            5\n"
                       "retired: takes no new flows; its 5 flows continue until they end\n"
                       "moved: 7 flows break, because their packets no longer reach the other end\n"))
      << teal({"reload"}).out;

  const json nothing = {{"added", json::array()},
                        {"changed", json::array()},
                        {"retired", json::array()},
                        {"restart", json::array()}};
  daemon_->answer("POST /v1/reload", change_answer({{"plan", nothing}}));
  EXPECT_EQ(teal({"reload"}).out, "generation 13: nothing to change, the file is in force already\n");
}

TEST_F(CliTest, ReloadOfABadFileListsItsErrors) {
  daemon_->answer(
      "POST /v1/reload",
      {{"error",
        {{"code", "bad_config"},
         {"message", "the config has 2 errors"},
         {"hint", ""},
         {"details", {"teal.toml:9: service[0].vip: bad", "teal.toml:12: service[0].blue: empty"}}}}},
      422);
  const auto result = teal({"reload"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "teal.toml:9: service[0].vip: bad\nteal.toml:12: service[0].blue: empty\n"
            "teal: the config has 2 errors\n"
            "hint: nothing was changed; teal check FILE shows these errors before a reload\n");
  EXPECT_EQ(json::parse(teal({"reload", "-o", "json"}).out)["error"]["details"].size(), 2u);
}

TEST_F(CliTest, LockSaysWhoseItIsAndUnlockTakesItOff) {
  daemon_->answer(
      "POST /v1/lock",
      change_answer(
          {{"lock",
            {{"uid", 0}, {"user", "root"}, {"reason", "freeze"}, {"since", "2026-11-23T05:00:00.000Z"}}}}));
  daemon_->answer("POST /v1/unlock", change_answer({{"lock", nullptr}, {"removed", {{"uid", 0}}}}));
  EXPECT_EQ(teal({"lock", "--reason", "freeze"}).out,
            "locked by root since 2026-11-23 05:00:00Z: freeze\nall changes are refused until teal unlock\n");
  EXPECT_EQ(daemon_->last_body(), json({{"reason", "freeze"}}));
  EXPECT_EQ(teal({"unlock"}).out, "unlocked: changes are taken again\n");
  daemon_->answer("POST /v1/unlock", change_answer({{"lock", nullptr}, {"removed", nullptr}}));
  EXPECT_EQ(teal({"unlock"}).out, "generation 13: nothing to change, changes are not locked\n");
}

TEST_F(CliTest, ErrorsOfTheDaemonAreExitCodes) {
  const std::tuple<const char*, unsigned, int> cases[] = {
      {"bad_request", 400, 1}, {"unknown_service", 404, 1}, {"conflict", 409, 5},
      {"refused", 422, 3},     {"locked", 423, 3},          {"adoption_timeout", 504, 4},
      {"storage", 503, 1},     {"segment_refused", 503, 3}};
  for (const auto& [code, status, exit_code] : cases) {
    daemon_->answer("POST /v1/flip", error_answer(code, "what is wrong", "what to try"), status);
    const auto text = teal({"flip", "x", "--to", "green"});
    EXPECT_EQ(text.exit_code, exit_code) << code;
    EXPECT_TRUE(text.err.starts_with("teal: what is wrong")) << text.err;
    EXPECT_TRUE(contains(text.err, "hint: what to try\n"));
    const auto as_json = teal({"flip", "x", "--to", "green", "-o", "json"});
    EXPECT_EQ(as_json.exit_code, exit_code) << code;
    EXPECT_EQ(json::parse(as_json.out)["error"]["code"], code);
    EXPECT_EQ(as_json.err, "");
  }
  const auto usage = teal({"-o", "json", "flip"});
  EXPECT_EQ(usage.exit_code, 2);
  EXPECT_EQ(json::parse(usage.out)["error"]["code"], "usage");
}

TEST_F(CliTest, TextOfOthersCannotCommandATerminal) {
  auto reply = flip_answer();
  reply["warnings"] = {"\033[2Jgone"};
  daemon_->answer("POST /v1/flip", reply);
  EXPECT_EQ(teal({"flip", "service-a", "--to", "green"}).err, "warning: ?[2Jgone\n");
  daemon_->answer("POST /v1/flip", error_answer("locked", "locked by eve: \033]0;owned\007"), 423);
  EXPECT_FALSE(contains(teal({"flip", "service-a", "--to", "green"}).err, "\033"));
}

}  // namespace
}  // namespace teal::cli
