// SPDX-License-Identifier: Apache-2.0
//
// Reloads: what the plan tells, what is warned of, and what becomes of a file that needs no publication.
#include <fstream>

#include "tests/unit/control/change/change_fixture.h"

namespace teal {
namespace {

using Json = nlohmann::ordered_json;

class Reload : public ChangeFixture {
 protected:
  Reload() {
    start_dataplane();
    // The running dataplane was started with this file.
    std::ofstream(dir.file("run/dataplane.toml")) << kShopToml;
    start_teald();
    take_events();
  }
  std::vector<std::string> restart_lines(const std::string& from, const std::string& to) {
    write_with(from, to);
    const Result dry_run = reload({.dry_run = true});
    EXPECT_TRUE(dry_run) << dry_run.error().message;
    return dry_run ? dry_run->fields["plan"]["restart"].get<std::vector<std::string>>()
                   : std::vector<std::string>();
  }
  std::string warnings(const Result& result) {
    std::string text;
    if (result)
      for (const std::string& line : result->warnings) text += line + "\n";
    return text;
  }
};

TEST_F(Reload, NamesEachKeyOfTheDataplaneThatNeedsARestart) {
  const std::pair<const char*, const char*> cases[] = {
      {"idle = \"spin\"", "[dataplane] idle: configured spin, running adaptive"},
      {"memory_mb = 64", "[dataplane] memory_mb: configured 64, running 0"},
      {"hash_seed = 7", "[dataplane] hash_seed: configured 7, running 0"},
      {"cpus = [0]", "[dataplane] cpus: configured 0, running none"},
      {"iova = \"va\"", "[dataplane] iova: configured va, running auto"},
  };
  for (const auto& [key, text] : cases) {
    const auto lines = restart_lines("workers = 1\n", std::string("workers = 1\n") + key + "\n");
    ASSERT_EQ(lines.size(), 1u) << key;
    EXPECT_TRUE(lines[0].starts_with(text)) << lines[0];
    EXPECT_NE(lines[0].find("teal-dataplane"), std::string::npos) << lines[0];
  }
  const auto lines = restart_lines("af_packet:none0", "af_xdp:none1");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_TRUE(
      lines[0].starts_with("[[port]] front: device: configured af_xdp:none1, running af_packet:none0"))
      << lines[0];
}

TEST_F(Reload, ARestartStaysPendingUntilTheDataplaneHasTheFile) {
  EXPECT_TRUE(teald->verbs.restart_lines().empty());
  write_with("workers = 1\n", "workers = 1\nidle = \"spin\"\n");
  ASSERT_TRUE(reload());
  ASSERT_EQ(teald->verbs.restart_lines().size(), 1u);
  start_teald();
  EXPECT_EQ(teald->verbs.restart_lines().size(), 1u) << "a restart of teald keeps it";
  std::filesystem::copy_file(dir.file("teal.toml"), dir.file("run/dataplane.toml"),
                             std::filesystem::copy_options::overwrite_existing);
  (*dataplane)->segment().header().dataplane_epoch.fetch_add(1);
  EXPECT_TRUE(teald->verbs.restart_lines().empty());
  write_with("workers = 1\n", "workers = 1\nidle = \"adaptive\"\n");
  ASSERT_TRUE(reload());
  EXPECT_EQ(teald->verbs.restart_lines().size(), 1u);
  dataplane->die();
  EXPECT_TRUE(teald->verbs.restart_lines().empty()) << "the next start reads the file";
}

TEST_F(Reload, WarnsOfANewBackendWithoutANextHop) {
  std::vector<std::string> asked;
  teald->verbs.look_for_hops_with([&](const IpAddress& address) {
    asked.push_back(address.to_string());
    return asked.size() == 3 ? "" : "no answer";
  });
  write_with("198.18.2.23:8080", "198.18.2.33:8080");
  EXPECT_EQ(warnings(reload({.dry_run = true})), "") << "it answers in time";
  EXPECT_EQ(asked, std::vector<std::string>(3, "198.18.2.33")) << "known backends are not asked";
  teald->verbs.look_for_hops_with([](const IpAddress&) { return "no route"; });
  const std::string text = warnings(reload());
  EXPECT_TRUE(text.starts_with("service-c/green/198.18.2.33:8080 is new and has no next hop (no route)"))
      << text;
}

TEST_F(Reload, OfAFileThatPublishesNothingIsTheGoodConfigAllTheSame) {
  write_with("workers = 1\n", "workers = 1\nidle = \"spin\"\n");
  ASSERT_TRUE(reload());
  EXPECT_EQ(take_events(), "") << "nothing is published";
  EXPECT_NE(teald->state().good_config()->value().find("spin"), std::string::npos);
  EXPECT_FALSE(teald->verbs.file_differs());
}

TEST_F(Reload, AFlipSaysThatTheFileWasEditedAndNotReloaded) {
  EXPECT_EQ(warnings(flip("service-a", Colour::kGreen)), "");
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  EXPECT_NE(warnings(flip("service-b", Colour::kGreen)).find("teal.toml was edited"), std::string::npos);
  EXPECT_NE(warnings(flip("service-c", Colour::kGreen, {.dry_run = true})).find("was edited"),
            std::string::npos);
  EXPECT_EQ(warnings(rollback("service-b")), "") << "a rollback looks at no file";
  ASSERT_TRUE(reload());
  EXPECT_EQ(warnings(flip("service-b", Colour::kGreen)), "");
}

TEST_F(Reload, SaysWhichSettingsOfCommandsItForgets) {
  ASSERT_TRUE(set_backend("198.18.2.12:8080", AdminState::kMaint));
  write_with(", \"198.18.2.12:8080\"", "");
  for (const bool dry_run : {true, false}) {
    const std::string text = warnings(reload({.dry_run = dry_run}));
    EXPECT_NE(text.find("service-a/blue/198.18.2.12:8080"), std::string::npos) << text;
    EXPECT_NE(text.find("maint"), std::string::npos) << text;
  }
  std::ofstream(dir.file("teal.toml")) << kShopToml;
  EXPECT_EQ(warnings(reload()), "");
  EXPECT_EQ(teald->executor.catalogue().find("service-a")->pools[0][1].admin, AdminState::kReady);
}

TEST_F(Reload, TheHintOfAnUnreadableFileIsNotTealCheck) {
  std::filesystem::remove(dir.file("teal.toml"));
  const auto hint = [this] {
    const Result result = reload();
    EXPECT_EQ(result ? "" : result.error().code, "bad_config");
    return result ? "" : result.error().hint;
  };
  EXPECT_EQ(hint(), "put the file back: the config in force stays");
  std::filesystem::create_directory(dir.file("teal.toml"));
  EXPECT_NE(hint().find("uid " + std::to_string(getuid())), std::string::npos) << hint();
}

TEST_F(Reload, TheEventOfABackendThatMovesNamesItsNewService) {
  std::string toml = kShopToml;
  toml.replace(toml.find(", \"198.18.2.12:8080\""), 20, "");
  toml.replace(toml.find("\"198.18.2.13:8080\""), 18, "\"198.18.2.13:8080\", \"198.18.2.12:8080\"");
  std::ofstream(dir.file("teal.toml")) << toml;
  ASSERT_TRUE(reload());
  EXPECT_EQ(take_events(), "intended moved reloaded published adopted done");
  EXPECT_EQ(told("backends"), "[\"198.18.2.12:8080 to service-c\"]");
}

// A typo in the address of the pool that serves the users.
TEST_F(Reload, IsRefusedIfItLeavesAnActiveColourOutOfReach) {
  teald->verbs.look_for_hops_with(
      [](const IpAddress& address) { return address.to_string() == "198.18.2.33" ? "no route" : ""; });
  write_with("198.18.2.13:8080", "198.18.2.33:8080");
  for (const bool dry_run : {true, false}) {
    const Result refused = reload({.dry_run = dry_run});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "refused");
    EXPECT_EQ(refused.error().message,
              "nothing was changed: no backend of blue, the active colour of service-c, can be reached");
    EXPECT_EQ(refused.error().details,
              (std::vector<std::string>{"service-c/blue/198.18.2.33:8080: no route"}));
  }
  EXPECT_EQ(take_events(), "");
  const Result forced = teald->run(teald->verbs.reload({}, true));
  ASSERT_TRUE(forced);
  EXPECT_NE(warnings(forced).find("no flow begins there"), std::string::npos);
  write_with("198.18.2.23:8080", "198.18.2.43:8080");
  EXPECT_TRUE(reload()) << "the dead pool stays as it is";
}

TEST_F(Reload, IsRefusedIfItTakesTheLastBackendThatCanBeReached) {
  teald->hop_states.set(1, HopState{.problem = HopProblem::kNoRoute});
  write_with("\"198.18.2.11:8080\", ", "");
  const Result refused = reload();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no backend of blue, the active colour of service-a"),
            std::string::npos)
      << refused.error().message;
  teald->hop_states.set(0, HopState{.problem = HopProblem::kNoRoute});
  EXPECT_TRUE(reload()) << "none could be reached before";
}

TEST_F(Reload, TakesNewBackendsOutOfReachWhereOthersServe) {
  teald->verbs.look_for_hops_with([](const IpAddress&) { return "no route"; });
  write_with("198.18.2.12:8080", "198.18.2.32:8080");
  EXPECT_TRUE(reload()) << "198.18.2.11 serves";
  std::ofstream(dir.file("teal.toml")) << std::string(kShopToml) +
                                              "\n[[service]]\nname = \"new\"\n"
                                              "vip = \"198.18.0.12:80\"\nprotocol = \"tcp\"\n"
                                              "blue = [\"198.18.2.14:8080\"]\n"
                                              "green = [\"198.18.2.24:8080\"]\n";
  EXPECT_TRUE(reload()) << "nobody uses a new service yet";
}

TEST_F(Reload, IsRefusedIfItLeavesTheColourOfARampOutOfReach) {
  RolloutRequest ramp{.verb = RolloutRequest::Verb::kRamp, .what = {{"service-c"}, {}}, .to = Colour::kGreen};
  ramp.ramp = {.steps = {500, kShareOne}, .every = {}, .manual = true};
  ASSERT_TRUE(teald->run(teald->verbs.roll(std::move(ramp), {})));
  teald->verbs.look_for_hops_with([](const IpAddress&) { return "no route"; });
  write_with("198.18.2.23:8080", "198.18.2.33:8080");
  const Result refused = reload();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("green, the ramp's colour of service-c"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace teal
