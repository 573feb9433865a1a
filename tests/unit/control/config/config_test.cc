// SPDX-License-Identifier: Apache-2.0
#include "control/config/config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "control/config/config_rollout.h"
#include "tests/unit/control/config/config_texts.h"

namespace teal {
namespace {

TEST(Config, ReadsTheSample) {
  const auto config = parse_config(kSample, kPath);
  ASSERT_TRUE(config) << joined(config.error());
  EXPECT_EQ(config->path, kPath);
  ASSERT_EQ(config->services.size(), 2u);
  const ServiceConfig& a = config->services[0];
  EXPECT_EQ(a.name, "service-a");
  EXPECT_EQ(to_string(a.vip), "198.18.0.10:80");
  EXPECT_EQ(a.vip.protocol, kProtocolTcp);
  ASSERT_EQ(a.pools[0].size(), 2u);
  EXPECT_EQ(to_string(a.pools[0][1].socket), "198.18.2.12:8080");
  EXPECT_EQ(a.pools[0][0].socket.protocol, kProtocolTcp);
  EXPECT_EQ(a.pools[0][0].weight, 1u);
  EXPECT_EQ(a.pools[0][1].weight, 2u);
  ASSERT_EQ(a.pools[1].size(), 1u);
  EXPECT_EQ(a.active, Colour::kBlue);
  EXPECT_FALSE(a.affinity_client);
  using Then = DrainConfig::Then;
  using Udp = DrainConfig::Udp;
  EXPECT_EQ(a.drain, (DrainConfig{std::chrono::minutes(5), Then::kWait, Udp::kCut}));

  const ServiceConfig& b = config->services[1];
  EXPECT_EQ(to_string(b.vip), "[fd18::10]:80");
  EXPECT_EQ(b.vip.protocol, kProtocolUdp);
  EXPECT_EQ(b.pools[1][0].socket, b.pools[0][0].socket);  // one socket in both colours
  EXPECT_EQ(b.pools[1][1].weight, 0u);
  EXPECT_EQ(b.active, Colour::kGreen);
  EXPECT_TRUE(b.affinity_client);
  EXPECT_EQ(b.drain, (DrainConfig{std::chrono::milliseconds(1500), Then::kReset, Udp::kCut}));

  ASSERT_EQ(config->groups.size(), 1u);
  EXPECT_EQ(config->groups[0].name, "shop");
  EXPECT_EQ(config->groups[0].services, (std::vector<std::string>{"service-a", "service-b"}));
  EXPECT_EQ(config->timeouts.embryonic, 3000u);
  EXPECT_EQ(config->timeouts.tcp_established, 744'000u);
  EXPECT_EQ(config->timeouts.tcp_half_closed, 30'000u);
  EXPECT_EQ(config->timeouts.tcp_closed, 1000u);
  EXPECT_EQ(config->timeouts.udp_established, 6000u);
  EXPECT_EQ(config->reset_rate, 500u);
  EXPECT_EQ(config->api.control, (SocketAccess{0, 0, 0600}));
  EXPECT_EQ(config->api.status, (SocketAccess{1000, std::nullopt, 0644}));
  ASSERT_TRUE(config->api.listen.has_value());
  EXPECT_EQ(to_string(*config->api.listen), "127.0.0.1:9100");
  EXPECT_EQ(config->api.listen->protocol, kProtocolTcp);
}

TEST(Config, WithoutDrainAndApiHasTheDefaults) {
  const auto config = parse_config(with(kBase, "drain = { timeout = \"5m\", then = \"wait\" }", ""), kPath);
  ASSERT_TRUE(config) << joined(config.error());
  const DrainConfig drain = {std::chrono::minutes(5), DrainConfig::Then::kWait, DrainConfig::Udp::kStick};
  for (const ServiceConfig& service : config->services) EXPECT_EQ(service.drain, drain);
  EXPECT_EQ(config->reset_rate, 10'000u);
  EXPECT_EQ(config->api.control, (SocketAccess{std::nullopt, std::nullopt, 0660}));
  EXPECT_EQ(config->api.status, (SocketAccess{std::nullopt, std::nullopt, 0666}));
  EXPECT_EQ(config->api.listen, std::nullopt);
}

TEST(Config, ARampOfAService) {
  const auto config = parse_config(
      with(kBase, "active = \"blue\"\n",
           "rollout = { steps = [\"0.5%\", \"12.25%\", \"100%\"], every = \"2m\", manual = true }\n"),
      kPath);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->services[0].rollout, (RampPlan{{50, 1225, kShareOne}, std::chrono::minutes(2), true}));
  EXPECT_EQ(config->services[1].rollout, std::nullopt);
}

TEST(Config, SharesAreReadAsTheyAreShown) {
  for (uint32_t share = 0; share <= kShareOne; ++share)
    ASSERT_EQ(parse_share(share_text(static_cast<uint16_t>(share))), share) << share;
  for (const char* wrong : {"", "%", "5", "-1%", "100.01%", "1000%", "1.%", ".5%", "1.234%", " 1%", "1e1%",
                            "0x1%", "99999999999%"})
    EXPECT_EQ(parse_share(wrong), std::nullopt) << wrong;
}

// The table [drain] may follow the services in the file.
TEST(Config, AServicesDrainTakesMissingFieldsFromTheDefaults) {
  const std::string base =
      with(kBase, "[timeouts]", "[drain]\ntimeout = \"2m\"\nthen = \"reset\"\nudp = \"cut\"\n[timeouts]");
  const auto drain_of = [&](const std::string& drain) {
    const auto config = parse_config(with(base, "{ timeout = \"5m\", then = \"wait\" }", drain), kPath);
    EXPECT_TRUE(config) << joined(config.error());
    return config ? config->services[0].drain : DrainConfig{};
  };
  using Then = DrainConfig::Then;
  using Udp = DrainConfig::Udp;
  EXPECT_EQ(drain_of("{}"), (DrainConfig{std::chrono::minutes(2), Then::kReset, Udp::kCut}));
  EXPECT_EQ(drain_of("{ timeout = \"1s\" }"),
            (DrainConfig{std::chrono::seconds(1), Then::kReset, Udp::kCut}));
  EXPECT_EQ(drain_of("{ then = \"wait\" }"), (DrainConfig{std::chrono::minutes(2), Then::kWait, Udp::kCut}));
  EXPECT_EQ(drain_of("{ udp = \"stick\" }"),
            (DrainConfig{std::chrono::minutes(2), Then::kReset, Udp::kStick}));
}

TEST(Config, AcceptsTheBoundsOfDrains) {
  for (const char* text :
       {"reset_rate = 1", "reset_rate = 1_000_000", "timeout = \"100ms\"", "timeout = \"168h\""})
    EXPECT_EQ(joined(errors_of(with(kBase, "[timeouts]", "[drain]\n" + std::string(text) + "\n[timeouts]"))),
              "");
}

TEST(Config, ListensOnLoopbackAddresses) {
  for (const char* address : {"127.0.0.1:1", "127.255.0.9:65535", "[::1]:9100"}) {
    const auto config = parse_config(
        with(kBase, "[timeouts]", "[api]\nlisten = \"" + std::string(address) + "\"\n[timeouts]"), kPath);
    ASSERT_TRUE(config) << joined(config.error());
    EXPECT_EQ(to_string(*config->api.listen), address);
  }
}

TEST(Config, ReadsModesAsOctal) {
  for (const auto& [text, mode] : {std::pair("0001", 1u), {"0640", 0640u}, {"0777", 0777u}}) {
    const auto config = parse_config(
        with(kBase, "[timeouts]", "[api]\ncontrol = { mode = \"" + std::string(text) + "\" }\n[timeouts]"),
        kPath);
    ASSERT_TRUE(config) << joined(config.error());
    EXPECT_EQ(config->api.control.mode, mode);
  }
}

TEST(Config, WithoutTimeoutsHasTheDefaults) {
  const auto config = parse_config(with(kBase, "[timeouts]\nembryonic = \"30s\"\n", ""), kPath);
  ASSERT_TRUE(config) << joined(config.error());
  EXPECT_EQ(config->timeouts.embryonic, 3000u);
  EXPECT_EQ(config->timeouts.tcp_established, 744'000u);
  EXPECT_EQ(config->timeouts.udp_established, 6000u);
}

TEST(Config, RoundsTimeoutsUpToATick) {
  const auto config = parse_config(with(kBase, "\"30s\"", "\"101ms\""), kPath);
  ASSERT_TRUE(config) << joined(config.error());
  EXPECT_EQ(config->timeouts.embryonic, 11u);
}

TEST(Config, RefusesAFileWithoutServices) {
  const char* expected = "teal.toml:1: service: is missing, expected at least one [[service]]\n";
  EXPECT_EQ(joined(errors_of("")), expected);
  EXPECT_EQ(joined(errors_of("[dataplane]\nworkers = 1\n")), expected);
  EXPECT_EQ(joined(errors_of("# a note\n\nservice = []\n")),
            "teal.toml:3: service: is empty, expected at least one [[service]]\n");
  EXPECT_EQ(joined(errors_of("service = 1\n")),
            "teal.toml:1: service: is an integer, expected [[service]]\n");
  EXPECT_EQ(joined(errors_of("service = [1]\n")),
            "teal.toml:1: service[0]: is an integer, expected [[service]]\n");
}

TEST(Config, NamesTheLineOfInvalidToml) {
  const ConfigErrors errors = errors_of("[[service]]\nname = \"service-a\"\nvip = \n");
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].find("teal.toml:3: TOML syntax: "), 0u) << errors[0];
  const ConfigErrors twice = errors_of(with(kBase, "active = \"blue\"", "vip = \"198.18.0.12:80\""));
  ASSERT_EQ(twice.size(), 1u);
  EXPECT_EQ(twice[0].find("teal.toml:7: TOML syntax: "), 0u) << twice[0];
}

TEST(Config, ReportsAFileThatCannotBeRead) {
  const auto missing = read_config("/nonexistent/teal.toml");
  ASSERT_FALSE(missing);
  EXPECT_EQ(joined(missing.error()),
            "/nonexistent/teal.toml: cannot be read: No such file or directory, expected a TOML file\n");
  const auto directory = read_config("/");
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error()[0].find("Is a directory"), std::string::npos) << directory.error()[0];
}

TEST(Config, ReadsAFile) {
  const std::string path = testing::TempDir() + "config_test.toml";
  std::ofstream(path) << kSample;
  const auto config = read_config(path);
  std::remove(path.c_str());
  ASSERT_TRUE(config) << joined(config.error());
  EXPECT_EQ(config->path, path);
}

// A config with `services` services. Each has `backends` backends in blue and as many others in green.
std::string big_config(int services, int backends) {
  std::string text;
  int host = 0;
  const auto pool = [&](const char* colour) {
    text += std::string(colour) + " = [";
    for (int i = 0; i < backends; ++i, ++host) {
      const std::string socket =
          "\"198.19." + std::to_string(host / 200) + "." + std::to_string(host % 200) + ":8080\"";
      text += i % 2 == 0 ? socket + ", " : "{ address = " + socket + ", weight = 3 },\n  ";
    }
    text += "]\n";
  };
  for (int i = 0; i < services; ++i) {
    text += "[[service]]\nname = \"service-" + std::to_string(i) + "\"\nvip = \"198.18." +
            std::to_string(i / 200) + "." + std::to_string(i % 200) + ":80\"\nprotocol = \"tcp\"\n";
    pool("blue");
    pool("green");
  }
  return text;
}

TEST(Config, ReadsTheLargestFileFast) {
  const std::string text = big_config(1024, 2);
  const auto start = std::chrono::steady_clock::now();
  const auto config = parse_config(text, kPath);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(config) << joined(config.error());
  EXPECT_EQ(config->services.size(), 1024u);
  std::printf("1,024 services, 4,096 backends, %zu bytes: %.1f ms\n", text.size(), took.count());
  RecordProperty("parse_us", static_cast<int>(took.count() * 1000));
  EXPECT_LT(took.count(), 20'000.0);  // generous: a sanitizer build on a busy machine passes
}

TEST(Config, AServiceHasTheHooksOfAllAndItsOwn) {
  std::string text = kBase;
  text += R"([rollout.hooks]
pre_flip = { command = ["/usr/lib/pre", "x"], timeout = "1m" }
step = { command = ["/usr/lib/step"] }
)";
  const std::string place = "active = \"blue\"\n";
  text.insert(text.find(place),
              R"(rollout = { hooks = { pre_flip = "none", drained = { command = ["/usr/lib/drained"] } } }
)");
  const auto config = parse_config(text, kPath);
  ASSERT_TRUE(config) << joined(config.error());
  const HookCommands& own = config->services[0].rules.hooks;
  const HookCommands& all = config->services[1].rules.hooks;
  EXPECT_FALSE(command_of(own, Hook::kPreFlip));
  EXPECT_EQ(command_of(own, Hook::kStep)->command, std::vector<std::string>{"/usr/lib/step"});
  EXPECT_EQ(command_of(own, Hook::kDrained)->timeout, std::chrono::seconds(30));
  EXPECT_EQ(command_of(all, Hook::kPreFlip)->command, (std::vector<std::string>{"/usr/lib/pre", "x"}));
  EXPECT_EQ(command_of(all, Hook::kPreFlip)->timeout, std::chrono::minutes(1));
  EXPECT_FALSE(command_of(all, Hook::kDrained));
}

TEST(Config, RefusesTooManyServices) {
  const ConfigErrors errors = errors_of(big_config(1025, 1));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  EXPECT_NE(
      errors[0].find(": service[1024]: is one service too many: the file has 1025, expected at most 1024"),
      std::string::npos)
      << errors[0];
}

TEST(Config, RefusesTooManyBackends) {
  EXPECT_EQ(joined(errors_of(big_config(2, 1024))), "");
  const ConfigErrors errors = errors_of(big_config(1, 2049));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  EXPECT_NE(errors[0].find(": service[0].green[2047]: is one backend too many: the file has 4098 sockets"),
            std::string::npos)
      << errors[0];
}

// Random edits delete, copy and replace bytes of the sample. The parser survives, and each error names the
// file.
TEST(Config, SurvivesDamagedFiles) {
  const std::string sample = kSample;
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = sample;
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text.erase(at, 1 + random() % 8);
          break;
        case 1:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
          break;
        case 2:
          text[at] = static_cast<char>(random());
          break;
        default:
          text[at] = "[]{}\"=,.\n#0-:"[random() % 13];
          break;
      }
    }
    const auto config = parse_config(text, kPath);
    if (config) continue;
    ++refused;
    ASSERT_FALSE(config.error().empty());
    for (const auto& error : config.error()) ASSERT_EQ(error.find("teal.toml:"), 0u) << error;
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace teal
