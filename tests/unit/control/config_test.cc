// SPDX-License-Identifier: Apache-2.0
#include "control/config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace teal {
namespace {

constexpr char kPath[] = "teal.toml";

// Line numbers of the tests below are of this text.
constexpr char kBase[] = R"([[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", { address = "198.18.2.12:8080", weight = 2 }]
green = ["198.18.2.21:8080"]
active = "blue"
affinity = "flow"
drain = { timeout = "5m", then = "wait" }

[[service]]
name = "service-b"
vip = "[fd18:0::10]:80"
protocol = "udp"
blue = ["[fd18:2::11]:8080"]
green = ["[fd18:2::21]:8080"]

[[group]]
name = "shop"
services = ["service-a"]

[timeouts]
embryonic = "30s"
)";

// The contract's sample, whole: what is the dataplane's is not complained about here.
constexpr char kSample[] = R"([dataplane]
workers = 1
cpus = [1]
flow_capacity = 1_000_000
idle = "adaptive"
hash_seed = 42
memory_mb = 256

[[port]]
name = "front"
device = "af_xdp:eth1"
side = "client"

[timeouts]
embryonic = "30s"
tcp_established = "2h4m"
tcp_half_closed = "5m"
tcp_closed = "10s"
udp_established = "60s"

[[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", { address = "198.18.2.12:8080", weight = 2 }]
green = ["198.18.2.21:8080"]
active = "blue"
affinity = "flow"
drain = { timeout = "5m", then = "wait" }

[[service]]
name = "service-b"
vip = "[fd18:0::10]:80"
protocol = "udp"
blue = ["[fd18:2::11]:5300"]
green = ["[fd18:2::11]:5300", { address = "[fd18:2::21]:5300", weight = 0 }]
active = "green"
affinity = "client"
drain = { timeout = "1500ms" }

[[group]]
name = "shop"
services = ["service-a", "service-b"]
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "the base has no " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

ConfigErrors errors_of(const std::string& text) {
  const auto config = parse_config(text, kPath);
  return config ? ConfigErrors{} : config.error();
}

// As test output.
std::string joined(const ConfigErrors& errors) {
  std::string text;
  for (const auto& error : errors) text += error + "\n";
  return text;
}

struct Mistake {
  const char* name;
  const char* from;  // of kBase
  const char* to;
  int line;
  const char* field;
  const char* says;
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsToldOnceWithLineAndField) {
  const Mistake& mistake = GetParam();
  const ConfigErrors errors = errors_of(with(kBase, mistake.from, mistake.to));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  const std::string place =
      std::string(kPath) + ":" + std::to_string(mistake.line) + ": " + mistake.field + ": ";
  EXPECT_EQ(errors[0].substr(0, place.size()), place);
  EXPECT_NE(errors[0].find(mistake.says), std::string::npos) << errors[0];
  const bool says_expected = errors[0].find("expected") != std::string::npos;
  const bool proposes = errors[0].find("did you mean") != std::string::npos;
  EXPECT_TRUE(says_expected || proposes) << errors[0];
}

constexpr Mistake kMistakes[] = {
    // Names
    {"MissingName", "name = \"service-b\"\n", "\n", 11, "service[1].name", "is missing"},
    {"BadName", "\"service-b\"\nvip", "\"Service_B\"\nvip", 12, "service[1].name",
     "\"Service_B\" is no name"},
    {"NameOfWrongType", "name = \"shop\"", "name = 7", 19, "group[0].name", "is an integer"},
    {"UnknownField", "active = \"blue\"", "actve = \"blue\"", 7, "service[0].actve",
     "is an unknown field, did you mean \"active\"?"},
    {"UnknownFieldOfBackend", "weight = 2", "heaviness = 2", 5, "service[0].blue[1].heaviness",
     "is an unknown field"},
    {"UnknownFieldOfDrain", "then = ", "than = ", 9, "service[0].drain.than", "did you mean \"then\"?"},
    {"UnknownFieldOfGroup", "[timeouts]", "size = 2\n[timeouts]", 22, "group[0].size", "is an unknown field"},
    {"UnknownTimeout", "embryonic", "embryo", 23, "timeouts.embryo", "is an unknown field"},
    {"UnknownTopLevelKey", "[timeouts]", "[timeout]", 22, "timeout", "did you mean \"timeouts\"?"},
    {"OddUnknownField", "active = \"blue\"", "\"a\\tb\" = 1", 7, "service[0].\"a\\x09b\"",
     "is an unknown field"},
    {"ServiceIsNoArray", "[timeouts]", "[[timeouts]]", 22, "timeouts", "is an array"},
    {"GroupIsNoArray", "[[group]]", "[group]", 18, "group", "is a table, expected [[group]]"},
    // VIPs
    {"MissingVip", "vip = \"198.18.0.10:80\"\n", "\n", 1, "service[0].vip", "is missing"},
    {"BadVipAddress", "198.18.0.10:80", "198.18.0.300:80", 3, "service[0].vip",
     "has the bad address \"198.18.0.300\""},
    {"VipWithoutPort", "198.18.0.10:80", "198.18.0.10", 3, "service[0].vip", "has no port"},
    {"Ipv6VipWithoutPort", "[fd18:0::10]:80", "[fd18:0::10]", 13, "service[1].vip", "has no port"},
    {"BareIpv6VipWithoutPort", "[fd18:0::10]:80", "fd18:0::10", 13, "service[1].vip", "has no port"},
    {"Ipv6VipWithoutBrackets", "[fd18:0::10]:80", "fd18:0:1:2:3:4:5:6:80", 13, "service[1].vip",
     "has an IPv6 address without brackets"},
    {"Ipv4VipInBrackets", "198.18.0.10:80", "[198.18.0.10]:80", 3, "service[0].vip",
     "has an IPv4 address in brackets"},
    {"EmptyVip", "198.18.0.10:80", "", 3, "service[0].vip", "is no address and port"},
    {"VipPort0", "198.18.0.10:80", "198.18.0.10:0", 3, "service[0].vip", "has the bad port \"0\""},
    {"VipPort70000", "198.18.0.10:80", "198.18.0.10:70000", 3, "service[0].vip",
     "has the bad port \"70000\""},
    {"VipPortWord", "198.18.0.10:80", "198.18.0.10:http", 3, "service[0].vip", "has the bad port \"http\""},
    {"VipOfWrongType", "\"198.18.0.10:80\"", "80", 3, "service[0].vip", "is an integer"},
    {"UnspecifiedVip", "198.18.0.10:80", "0.0.0.0:80", 3, "service[0].vip", "has an unspecified address"},
    {"UnspecifiedIpv6Vip", "[fd18:0::10]:80", "[::]:80", 13, "service[1].vip", "has an unspecified address"},
    {"LoopbackVip", "198.18.0.10:80", "127.0.0.1:80", 3, "service[0].vip", "has a loopback address"},
    {"LoopbackIpv6Vip", "[fd18:0::10]:80", "[::1]:80", 13, "service[1].vip", "has a loopback address"},
    {"MulticastVip", "198.18.0.10:80", "224.0.0.1:80", 3, "service[0].vip", "has a multicast address"},
    {"MulticastIpv6Vip", "[fd18:0::10]:80", "[ff02::1]:80", 13, "service[1].vip", "has a multicast address"},
    {"LinkLocalVip", "[fd18:0::10]:80", "[fe80::1]:80", 13, "service[1].vip", "has a link-local address"},
    {"BroadcastVip", "198.18.0.10:80", "255.255.255.255:80", 3, "service[0].vip",
     "has the broadcast address"},
    // Backends
    {"LoopbackBackend", "198.18.2.21:8080", "127.0.0.1:8080", 6, "service[0].green[0]",
     "has a loopback address"},
    {"BadBackendAddress", "\"198.18.2.12:8080\"", "\"web-1:8080\"", 5, "service[0].blue[1].address",
     "has the bad address \"web-1\""},
    {"BackendPort0", "198.18.2.21:8080", "198.18.2.21:0", 6, "service[0].green[0]", "has the bad port \"0\""},
    {"BackendOfWrongType", "[\"198.18.2.21:8080\"]", "[8080]", 6, "service[0].green[0]", "is an integer"},
    {"BackendWithoutAddress", "address = \"198.18.2.12:8080\", ", "", 5, "service[0].blue[1].address",
     "is missing"},
    {"SameSocketTwiceInAPool", "198.18.2.12:8080", "198.18.2.11:8080", 5, "service[0].blue[1]",
     "\"198.18.2.11:8080\" is also service[0].blue[0]"},
    {"MixedFamilies", "198.18.2.21:8080", "[fd18:2::31]:8080", 6, "service[0].green[0]",
     "is IPv6 but the VIP \"198.18.0.10:80\" is IPv4"},
    {"BackendIsItsVip", "198.18.2.21:8080", "198.18.0.10:80", 6, "service[0].green[0]",
     "198.18.0.10:80/tcp is the VIP of service \"service-a\" (line 3)"},
    {"MissingPool", "green = [\"198.18.2.21:8080\"]\n", "\n", 1, "service[0].green", "is missing"},
    {"EmptyPool", "[\"198.18.2.21:8080\"]", "[]", 6, "service[0].green", "is empty"},
    {"PoolOfWrongType", "[\"198.18.2.21:8080\"]", "\"198.18.2.21:8080\"", 6, "service[0].green",
     "is a string, expected an array of backends"},
    {"OnlyWeightsOf0", "\"198.18.2.21:8080\"", "{ address = \"198.18.2.21:8080\", weight = 0 }", 6,
     "service[0].green", "has only weights of 0"},
    {"WeightTooLarge", "weight = 2", "weight = 1001", 5, "service[0].blue[1].weight",
     "is 1001, expected an integer from 0 to 1000"},
    {"NegativeWeight", "weight = 2", "weight = -1", 5, "service[0].blue[1].weight", "is -1"},
    {"WeightOfWrongType", "weight = 2", "weight = 0.5", 5, "service[0].blue[1].weight",
     "is a floating-point number"},
    // Words
    {"MissingProtocol", "protocol = \"udp\"\n", "\n", 11, "service[1].protocol", "is missing"},
    {"UnknownProtocol", "\"udp\"", "\"sctp\"", 14, "service[1].protocol",
     "is \"sctp\", expected \"tcp\" or \"udp\""},
    {"UnknownColour", "active = \"blue\"", "active = \"red\"", 7, "service[0].active",
     "is \"red\", expected \"blue\" or \"green\""},
    {"ColourOfWrongType", "active = \"blue\"", "active = 0", 7, "service[0].active", "is an integer"},
    {"UnknownAffinity", "\"flow\"", "\"cookie\"", 8, "service[0].affinity",
     "is \"cookie\", expected \"flow\" or \"client\""},
    {"DrainThenReset", "\"wait\"", "\"reset\"", 9, "service[0].drain.then",
     "\"reset\" is not supported yet, expected \"wait\""},
    {"DrainThenOther", "\"wait\"", "\"cut\"", 9, "service[0].drain.then", "is \"cut\", expected \"wait\""},
    {"DrainOfWrongType", "{ timeout = \"5m\", then = \"wait\" }", "\"5m\"", 9, "service[0].drain",
     "is a string, expected a table"},
    // Durations
    {"DrainTimeoutWithoutUnit", "\"5m\"", "\"300\"", 9, "service[0].drain.timeout",
     "is no duration: \"300\""},
    {"DrainTimeout0", "\"5m\"", "\"0s\"", 9, "service[0].drain.timeout",
     "is \"0s\", expected a duration from"},
    {"TimeoutOfWrongType", "\"30s\"", "30", 23, "timeouts.embryonic", "is an integer, expected a duration"},
    {"TimeoutTooLong", "\"30s\"", "\"169h\"", 23, "timeouts.embryonic", "is \"169h\""},
    {"TimeoutTooShort", "\"30s\"", "\"99ms\"", 23, "timeouts.embryonic", "is \"99ms\""},
    // Between services
    {"DuplicateServiceName", "\"service-b\"\nvip", "\"service-a\"\nvip", 12, "service[1].name",
     "\"service-a\" is the name of the service of line 2 too"},
    {"UnknownServiceInGroup", "[\"service-a\"]", "[\"service-aa\"]", 20, "group[0].services[0]",
     "there is no service \"service-aa\", did you mean \"service-a\"?"},
    {"ServiceTwiceInGroup", "[\"service-a\"]", "[\"service-a\", \"service-a\"]", 20, "group[0].services[1]",
     "is in the group already"},
    {"EmptyGroup", "[\"service-a\"]", "[]", 20, "group[0].services", "is empty"},
    {"GroupWithoutServices", "services = [\"service-a\"]\n", "\n", 18, "group[0].services", "is missing"},
    {"DuplicateGroup", "[timeouts]", "[[group]]\nname = \"shop\"\nservices = [\"service-a\"]\n[timeouts]", 23,
     "group[1].name", "\"shop\" is the name of the group of line 19 too"},
};
INSTANTIATE_TEST_SUITE_P(Config, ConfigMistake, testing::ValuesIn(kMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Config, AcceptsTheBaseOfTheMistakes) {
  EXPECT_EQ(joined(errors_of(kBase)), "");
}

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
  EXPECT_EQ(a.drain_timeout, std::chrono::minutes(5));

  const ServiceConfig& b = config->services[1];
  EXPECT_EQ(to_string(b.vip), "[fd18::10]:80");
  EXPECT_EQ(b.vip.protocol, kProtocolUdp);
  EXPECT_EQ(b.pools[1][0].socket, b.pools[0][0].socket);  // one socket in both colours
  EXPECT_EQ(b.pools[1][1].weight, 0u);
  EXPECT_EQ(b.active, Colour::kGreen);
  EXPECT_TRUE(b.affinity_client);
  EXPECT_EQ(b.drain_timeout, std::chrono::milliseconds(1500));

  ASSERT_EQ(config->groups.size(), 1u);
  EXPECT_EQ(config->groups[0].name, "shop");
  EXPECT_EQ(config->groups[0].services, (std::vector<std::string>{"service-a", "service-b"}));
  EXPECT_EQ(config->timeouts.embryonic, 3000u);
  EXPECT_EQ(config->timeouts.tcp_established, 744'000u);
  EXPECT_EQ(config->timeouts.tcp_half_closed, 30'000u);
  EXPECT_EQ(config->timeouts.tcp_closed, 1000u);
  EXPECT_EQ(config->timeouts.udp_established, 6000u);
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

TEST(Config, RefusesADuplicateVip) {
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.0.10:80");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  EXPECT_EQ(joined(errors_of(text)), "") << "the protocols differ";
  EXPECT_EQ(
      joined(errors_of(with(text, "\"udp\"", "\"tcp\""))),
      "teal.toml:13: service[1].vip: 198.18.0.10:80/tcp is the VIP of service \"service-a\" (line 3) too, "
      "expected another address, port or protocol for each\n");
}

TEST(Config, RefusesABackendSocketOfTwoServices) {
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.0.11:80");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\",\n  \"198.18.2.12:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  EXPECT_EQ(joined(errors_of(text)), "") << "the protocols differ";
  EXPECT_EQ(
      joined(errors_of(with(text, "\"udp\"", "\"tcp\""))),
      "teal.toml:16: service[1].blue[1]: 198.18.2.12:8080/tcp of service \"service-b\" is a backend of "
      "service "
      "\"service-a\" (line 5) too: a reply from it could not be told apart, expected a socket of one service "
      "only\n");
}

TEST(Config, RefusesAVipThatIsABackendOfAnotherService) {
  // The VIP comes after the backend in the file.
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.2.21:8080");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  const ConfigErrors errors = errors_of(with(text, "\"udp\"", "\"tcp\""));
  EXPECT_EQ(
      joined(errors),
      "teal.toml:6: service[0].green[0]: 198.18.2.21:8080/tcp is the VIP of service \"service-b\" (line 13), "
      "expected the socket of a server\n");
}

TEST(Config, AllowsAGroupNamedLikeAService) {
  EXPECT_EQ(joined(errors_of(with(kBase, "\"shop\"", "\"service-a\""))), "");
}

TEST(Config, AllowsASocketInBothColours) {
  EXPECT_EQ(joined(errors_of(with(kBase, "198.18.2.21:8080", "198.18.2.11:8080"))), "");
}

TEST(Config, ListsAllErrorsAtOnceByLine) {
  std::string text = with(kBase, "198.18.0.10:80", "198.18.0.10:70000");
  text = with(text, "\"udp\"", "\"sctp\"");
  text = with(text, "weight = 2", "weight = 9999");
  text = with(text, "[\"198.18.2.21:8080\"]", "[]");
  text = with(text, "\"30s\"", "\"soon\"");
  text = with(text, "\"service-a\"]", "\"other\"]");
  const ConfigErrors errors = errors_of(text);
  ASSERT_EQ(errors.size(), 6u) << joined(errors);
  EXPECT_EQ(errors[0].find("teal.toml:3: service[0].vip: "), 0u);
  EXPECT_EQ(errors[1].find("teal.toml:5: service[0].blue[1].weight: "), 0u);
  EXPECT_EQ(errors[2].find("teal.toml:6: service[0].green: "), 0u);
  EXPECT_EQ(errors[3].find("teal.toml:14: service[1].protocol: "), 0u);
  EXPECT_EQ(errors[4].find("teal.toml:20: group[0].services[0]: "), 0u);
  EXPECT_EQ(errors[5].find("teal.toml:23: timeouts.embryonic: "), 0u);
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

TEST(Config, TellsTheLineOfBadToml) {
  const ConfigErrors errors = errors_of("[[service]]\nname = \"service-a\"\nvip = \n");
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].find("teal.toml:3: TOML syntax: "), 0u) << errors[0];
  const ConfigErrors twice = errors_of(with(kBase, "active = \"blue\"", "vip = \"198.18.0.12:80\""));
  ASSERT_EQ(twice.size(), 1u);
  EXPECT_EQ(twice[0].find("teal.toml:7: TOML syntax: "), 0u) << twice[0];
}

TEST(Config, TellsOfAFileThatCannotBeRead) {
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

// `services` with `backends` each in blue (weighted) and as many others in green.
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
  EXPECT_LT(took.count(), 20'000.0);  // far above what it takes: a sanitizer build on a busy machine passes
}

TEST(Config, RefusesTooManyServices) {
  const ConfigErrors errors = errors_of(big_config(1025, 1));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  EXPECT_NE(errors[0].find(": service[1024]: is one service too many: there are 1025, expected at most 1024"),
            std::string::npos)
      << errors[0];
}

TEST(Config, RefusesTooManyBackends) {
  EXPECT_EQ(joined(errors_of(big_config(2, 1024))), "");
  const ConfigErrors errors = errors_of(big_config(1, 2049));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  EXPECT_NE(errors[0].find(": service[0].green[2047]: is one backend too many: there are 4098 sockets"),
            std::string::npos)
      << errors[0];
}

// Each byte of the sample in turn is lost, doubled, or replaced: whatever comes of it, an error names a line.
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
