// SPDX-License-Identifier: Apache-2.0
#include "control/hooks/hook_jobs.h"

#include <gtest/gtest.h>

#include <map>

#include <nlohmann/json.hpp>

namespace teal {
namespace {

using nlohmann::json;

HookCommand command(const std::string& path) {
  return {.command = {path}};
}

class HookJobs : public testing::Test {
 protected:
  HookJobs() {
    for (const char* service : {"web", "api"})
      for (size_t hook = 0; hook < kHooks; ++hook) config[service][hook] = command("/usr/lib/hook");
    config["bare"] = {};
  }
  HooksOf hooks() const {
    return [this](const std::string& service) {
      const auto known = config.find(service);
      return known == config.end() ? nullptr : &known->second;
    };
  }
  static HistoryRow row(const std::string& verb, const std::string& changes) {
    HistoryRow change;
    change.id = 41;
    change.generation = 17;
    change.verb = verb;
    change.changes = changes;
    change.reason = "release 42";
    change.actor.uid = 1000;
    change.actor.user = "alice";
    change.finished_at_ms = 1'795'930'000'000;
    change.result = "done";
    return change;
  }
  std::vector<HookJob> after(const std::string& verb, const std::string& changes) const {
    return jobs_after(row(verb, changes), hooks());
  }
  std::string only_hook(const std::string& verb, const std::string& changes) const {
    const auto jobs = after(verb, changes);
    return jobs.size() == 1 ? name_of(jobs.front().hook) : std::to_string(jobs.size()) + " jobs";
  }

  std::map<std::string, HookCommands> config;
};

TEST_F(HookJobs, AFlipIsToldToPostFlip) {
  const auto jobs = after("flip", R"([{"service":"web","from":"blue","to":"green"}])");
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].hook, Hook::kPostFlip);
  EXPECT_EQ(jobs[0].services, std::vector<std::string>{"web"});
  EXPECT_EQ(json::parse(jobs[0].input),
            json::parse(R"({"hook":"post_flip","id":41,"generation":17,"verb":"flip",
    "services":[{"service":"web","from":"blue","to":"green","share":"100%"}],"reason":"release 42","uid":1000,
    "user":"alice","at":"2026-11-29T05:26:40.000Z","result":"done","verdict":null})"));
}

TEST_F(HookJobs, EachKindOfChangeHasItsHook) {
  constexpr const char* kFlip = R"([{"service":"web","from":"blue","to":"green"}])";
  constexpr const char* kStep = R"([{"service":"web","colour":"green","share":{"from":"5%","to":"25%"}}])";
  constexpr const char* kLastStep =
      R"([{"service":"web","from":"blue","to":"green","colour":"green","share":{"from":"25%","to":"100%"}}])";
  constexpr const char* kAbort =
      R"([{"service":"web","to":"blue","colour":"green","share":{"from":"25%","to":"0%"}}])";
  EXPECT_EQ(only_hook("flip", kFlip), "post_flip");
  EXPECT_EQ(only_hook("flip", kStep), "step") << "the flip began a ramp";
  EXPECT_EQ(only_hook("ramp", kStep), "step");
  EXPECT_EQ(only_hook("step", kStep), "step");
  EXPECT_EQ(only_hook("next", kLastStep), "post_flip");
  EXPECT_EQ(only_hook("rollback", kFlip), "rolled_back");
  EXPECT_EQ(only_hook("rollback", kAbort), "rolled_back");
  EXPECT_EQ(only_hook("abort", kAbort), "rolled_back");
  EXPECT_EQ(only_hook("flip", kAbort), "rolled_back") << "a flip to the active colour";
  for (const char* verb : {"drain", "reload", "backend", "pause", "publish", "lock"})
    EXPECT_EQ(only_hook(verb, kFlip), "0 jobs") << verb;
  const json step = json::parse(after("step", kStep)[0].input)["services"][0];
  EXPECT_EQ(step, json::parse(R"({"service":"web","from":"blue","to":"green","share":"25%"})"));
  const json abort = json::parse(after("abort", kAbort)[0].input)["services"][0];
  EXPECT_EQ(abort, json::parse(R"({"service":"web","from":"green","to":"blue","share":"100%"})"));
}

TEST_F(HookJobs, ServicesWithTheSameCommandShareARun) {
  constexpr const char* kGroup = R"([{"service":"web","from":"blue","to":"green"},
    {"service":"bare","from":"blue","to":"green"},{"service":"gone","from":"blue","to":"green"},
    {"service":"api","from":"green","to":"blue"}])";
  auto jobs = after("flip", kGroup);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].services, (std::vector<std::string>{"web", "api"}));
  EXPECT_EQ(json::parse(jobs[0].input)["services"].size(), 2u);
  config["api"][static_cast<size_t>(Hook::kPostFlip)] = command("/usr/lib/other");
  jobs = after("flip", kGroup);
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(json::parse(jobs[1].input)["services"][0]["service"], "api");
}

TEST_F(HookJobs, AChangeThatWasNotPublishedHasNoHook) {
  HistoryRow change = row("flip", R"([{"service":"web","from":"blue","to":"green"}])");
  for (const char* result : {"pending", "interrupted", "not_published"}) {
    change.result = result;
    EXPECT_TRUE(jobs_after(change, hooks()).empty()) << result;
    EXPECT_TRUE(drains_of(change).empty()) << result;
  }
  change.result = "adoption_timeout";
  EXPECT_EQ(jobs_after(change, hooks()).size(), 1u);
}

TEST_F(HookJobs, ARollbackOfTealHasItsVerdict) {
  HistoryRow change =
      row("rollback", R"([{"service":"web","from":"green","to":"blue","evidence":{"log10":3.2}}])");
  change.actor = Actor::teald();
  change.reason = "green of web is bad";
  const auto jobs = jobs_after(change, hooks());
  ASSERT_EQ(jobs.size(), 1u);
  const json input = json::parse(jobs[0].input);
  EXPECT_EQ(input["verdict"]["text"], "green of web is bad");
  EXPECT_EQ(input["verdict"]["evidence"]["log10"], 3.2);
  EXPECT_TRUE(input["uid"].is_null());
}

TEST_F(HookJobs, DamagedChangesAreLeftOut) {
  for (const char* changes :
       {"", "{", "7", "[7,null,\"x\"]", "[{}]", R"([{"service":7}])", R"([{"service":"web","to":"red"}])",
        R"([{"service":"web","colour":"green"}])"}) {
    EXPECT_TRUE(after("flip", changes).empty()) << changes;
    EXPECT_TRUE(drains_of(row("flip", changes)).empty()) << changes;
  }
}

TEST_F(HookJobs, EachFlipBeginsADrainAndNoStepDoes) {
  const auto drains = drains_of(row("flip", R"([{"service":"web","from":"blue","to":"green"},
    {"service":"api","colour":"green","share":{"from":"0%","to":"5%"}}])"));
  ASSERT_EQ(drains.size(), 1u);
  EXPECT_EQ(drains[0].service, "web");
  EXPECT_EQ(drains[0].change, 41);
  EXPECT_EQ(drains[0].generation, 17u);
  const auto jobs = drained_jobs(drains, hooks());
  ASSERT_EQ(jobs.size(), 1u);
  const json input = json::parse(jobs[0].input);
  EXPECT_EQ(input["hook"], "drained");
  EXPECT_EQ(input["services"],
            json::parse(R"([{"service":"web","from":"blue","to":"green","share":"100%"}])"));
}

TEST_F(HookJobs, ADamagedDrainIsLeftOut) {
  for (const char* input :
       {"", "[]", "{}", R"({"services":[]})", R"({"services":[7]})", R"({"services":[{"service":"api"}]})"})
    EXPECT_TRUE(drained_jobs({{"web", 41, 17, input}}, hooks()).empty()) << input;
}

TEST_F(HookJobs, PreFlipKnowsNoIdYet) {
  HookRequest request{.verb = "ramp", .reason = "release 42", .actor = {}};
  request.actor.uid = 1000;
  const auto jobs =
      pre_flip_jobs({{"web", Colour::kBlue, Colour::kGreen, "5%"}, {"bare", {}, {}, "5%"}}, request, hooks());
  ASSERT_EQ(jobs.size(), 1u);
  const json input = json::parse(jobs[0].input);
  EXPECT_EQ(input["hook"], "pre_flip");
  EXPECT_EQ(input["verb"], "ramp");
  EXPECT_TRUE(input["id"].is_null());
  EXPECT_EQ(input["services"][0]["share"], "5%");
}

}  // namespace
}  // namespace teal
