// SPDX-License-Identifier: Apache-2.0
//
// Each case makes one mistake in a valid config. The config then has exactly one error, with line and field.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/control/config/config_texts.h"

namespace teal {
namespace {

struct Mistake {
  const char* name;
  const char* from;  // text in kBase
  const char* to;    // its replacement
  int line;
  const char* field;
  const char* says;
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, IsReportedOnceWithLineAndField) {
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
     "\"Service_B\" is not a valid name"},
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
    {"TimeoutsAsAnArray", "[timeouts]", "[[timeouts]]", 22, "timeouts", "is an array"},
    {"GroupAsATable", "[[group]]", "[group]", 18, "group", "is a table, expected [[group]]"},
    // Ramps
    {"StepTimeWithoutSteps", "active = ", "rollout = { every = \"1m\" }\nactive = ", 7,
     "service[0].rollout.every", "expected \"steps\" beside it"},
    {"UnknownOnBad", "active = ", "rollout = { on_bad = \"panic\" }\nactive = ", 7,
     "service[0].rollout.on_bad", "expected"},
    {"UnknownHook", "active = ", "rollout = { hooks = { postflip = \"none\" } }\nactive = ", 7,
     "service[0].rollout.hooks.postflip", "did you mean \"post_flip\"?"},
    {"HookOfAWord", "active = ", "rollout = { hooks = { step = \"/bin/true\" } }\nactive = ", 7,
     "service[0].rollout.hooks.step", "expected a table such as"},
    {"HookWithoutACommand", "active = ", "rollout = { hooks = { step = { timeout = \"1s\" } } }\nactive = ",
     7, "service[0].rollout.hooks.step.command", "is missing"},
    {"HookOfARelativePath", "active = ", "rollout = { hooks = { step = { command = [\"x\"] } } }\nactive = ",
     7, "service[0].rollout.hooks.step.command", "begins with \"x\", expected"},
    {"HookOfAnHour",
     "active = ", "rollout = { hooks = { step = { command = [\"/x\"], timeout = \"1h\" } } }\nactive = ", 7,
     "service[0].rollout.hooks.step.timeout", "expected"},
    {"BakeOfADay", "active = ", "rollout = { bake = \"25h\" }\nactive = ", 7, "service[0].rollout.bake",
     "expected"},
    {"StepsThatDoNotRise", "active = ", "rollout = { steps = [\"5%\", \"5%\", \"100%\"] }\nactive = ", 7,
     "service[0].rollout.steps", "has 5% after 5%"},
    {"StepsThatDoNotEndAtTheWhole", "active = ", "rollout = { steps = [\"5%\", \"50%\"] }\nactive = ", 7,
     "service[0].rollout.steps", "ends with 50%, expected"},
    {"OneStep", "active = ", "rollout = { steps = [\"100%\"] }\nactive = ", 7, "service[0].rollout.steps",
     "has 1 step, expected 2 to 32"},
    {"StepWithoutUnit", "active = ", "rollout = { steps = [\"5\", \"100%\"] }\nactive = ", 7,
     "service[0].rollout.steps", "has the step \"5\", expected"},
    {"StepOfNothing", "active = ", "rollout = { steps = [\"0%\", \"100%\"] }\nactive = ", 7,
     "service[0].rollout.steps", "has the step \"0%\""},
    {"StepAsANumber", "active = ", "rollout = { steps = [5, \"100%\"] }\nactive = ", 7,
     "service[0].rollout.steps[0]", "is an integer"},
    {"StepsForNoTime", "active = ", "rollout = { steps = [\"5%\", \"100%\"], every = \"1ms\" }\nactive = ", 7,
     "service[0].rollout.every", "expected"},
    {"ManualAsText", "active = ", "rollout = { steps = [\"5%\", \"100%\"], manual = \"yes\" }\nactive = ", 7,
     "service[0].rollout.manual", "expected true or false"},
    // VIPs
    {"MissingVip", "vip = \"198.18.0.10:80\"\n", "\n", 1, "service[0].vip", "is missing"},
    {"BadVipAddress", "198.18.0.10:80", "198.18.0.300:80", 3, "service[0].vip",
     "has the invalid address \"198.18.0.300\""},
    {"VipWithoutPort", "198.18.0.10:80", "198.18.0.10", 3, "service[0].vip", "has no port"},
    {"Ipv6VipWithoutPort", "[fd18:0::10]:80", "[fd18:0::10]", 13, "service[1].vip", "has no port"},
    {"BareIpv6VipWithoutPort", "[fd18:0::10]:80", "fd18:0::10", 13, "service[1].vip", "has no port"},
    {"Ipv6VipWithoutBrackets", "[fd18:0::10]:80", "fd18:0:1:2:3:4:5:6:80", 13, "service[1].vip",
     "has an IPv6 address without brackets"},
    {"Ipv4VipInBrackets", "198.18.0.10:80", "[198.18.0.10]:80", 3, "service[0].vip",
     "has an IPv4 address in brackets"},
    {"EmptyVip", "198.18.0.10:80", "", 3, "service[0].vip", "is not an address and port"},
    {"VipPort0", "198.18.0.10:80", "198.18.0.10:0", 3, "service[0].vip", "has the invalid port \"0\""},
    {"VipPort70000", "198.18.0.10:80", "198.18.0.10:70000", 3, "service[0].vip",
     "has the invalid port \"70000\""},
    {"VipPortWord", "198.18.0.10:80", "198.18.0.10:http", 3, "service[0].vip",
     "has the invalid port \"http\""},
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
     "has the invalid address \"web-1\""},
    {"BackendPort0", "198.18.2.21:8080", "198.18.2.21:0", 6, "service[0].green[0]",
     "has the invalid port \"0\""},
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
    {"DrainThenOther", "\"wait\"", "\"cut\"", 9, "service[0].drain.then",
     "is \"cut\", expected \"wait\" or \"reset\""},
    {"DrainUdpOther", "then = \"wait\"", "udp = \"drop\"", 9, "service[0].drain.udp",
     "is \"drop\", expected \"stick\" or \"cut\""},
    {"ResetRateOfAService", "then = \"wait\"", "reset_rate = 5", 9, "service[0].drain.reset_rate",
     "is shared by all services, expected it in the table [drain]"},
    {"DrainOfWrongType", "{ timeout = \"5m\", then = \"wait\" }", "\"5m\"", 9, "service[0].drain",
     "is a string, expected a table"},
    // Durations
    {"DrainTimeoutWithoutUnit", "\"5m\"", "\"300\"", 9, "service[0].drain.timeout",
     "is not a duration: \"300\""},
    {"DrainTimeout0", "\"5m\"", "\"0s\"", 9, "service[0].drain.timeout",
     "is \"0s\", expected a duration from"},
    {"TimeoutOfWrongType", "\"30s\"", "30", 23, "timeouts.embryonic", "is an integer, expected a duration"},
    {"TimeoutTooLong", "\"30s\"", "\"169h\"", 23, "timeouts.embryonic", "is \"169h\""},
    {"TimeoutTooShort", "\"30s\"", "\"99ms\"", 23, "timeouts.embryonic", "is \"99ms\""},
    {"DefaultDrainTimeoutTooLong", "[timeouts]", "[drain]\ntimeout = \"169h\"\n[timeouts]", 23,
     "drain.timeout", "is \"169h\", expected a duration from"},
    // [drain]
    {"DrainTableOfWrongType", "[timeouts]", "[[drain]]\n[timeouts]", 22, "drain",
     "is an array, expected a table"},
    {"UnknownFieldOfDefaultDrain", "[timeouts]", "[drain]\nreset_rat = 5\n[timeouts]", 23, "drain.reset_rat",
     "did you mean \"reset_rate\"?"},
    {"DefaultThenOther", "[timeouts]", "[drain]\nthen = \"cut\"\n[timeouts]", 23, "drain.then",
     "expected \"wait\" or \"reset\""},
    {"ResetRate0", "[timeouts]", "[drain]\nreset_rate = 0\n[timeouts]", 23, "drain.reset_rate",
     "is 0, expected an integer from 1 to 1000000"},
    {"ResetRateTooLarge", "[timeouts]", "[drain]\nreset_rate = 1_000_001\n[timeouts]", 23, "drain.reset_rate",
     "is 1000001"},
    // [api]
    {"ApiOfWrongType", "[timeouts]", "[[api]]\n[timeouts]", 22, "api", "is an array, expected a table [api]"},
    {"UnknownFieldOfApi", "[timeouts]", "[api]\nlisen = \"127.0.0.1:9100\"\n[timeouts]", 23, "api.lisen",
     "did you mean \"listen\"?"},
    {"AccessOfWrongType", "[timeouts]", "[api]\ncontrol = \"0660\"\n[timeouts]", 23, "api.control",
     "is a string, expected a table such as { owner = \"root\""},
    {"UnknownFieldOfAccess", "[timeouts]", "[api]\nstatus = { user = \"root\" }\n[timeouts]", 23,
     "api.status.user", "is an unknown field, expected \"owner\", \"group\" or \"mode\""},
    {"UnknownOwner", "[timeouts]", "[api]\ncontrol = { owner = \"no-such-user\" }\n[timeouts]", 23,
     "api.control.owner", "there is no user \"no-such-user\", expected the name of a user of this host"},
    {"UnknownGroup", "[timeouts]", "[api]\ncontrol = { group = \"no-such-group\" }\n[timeouts]", 23,
     "api.control.group", "there is no group \"no-such-group\", expected the name of a group of this host"},
    {"EmptyOwner", "[timeouts]", "[api]\ncontrol = { owner = \"\" }\n[timeouts]", 23, "api.control.owner",
     "there is no user \"\""},
    {"OwnerWithANulByte", "[timeouts]", "[api]\ncontrol = { owner = \"root\\u0000x\" }\n[timeouts]", 23,
     "api.control.owner", "there is no user \"root\\x00x\""},
    {"NegativeOwner", "[timeouts]", "[api]\ncontrol = { owner = -1 }\n[timeouts]", 23, "api.control.owner",
     "is -1, expected an integer from 0 to 4294967294"},
    {"OwnerThatChownReadsAsKeep", "[timeouts]", "[api]\ncontrol = { owner = 4294967295 }\n[timeouts]", 23,
     "api.control.owner", "is 4294967295"},
    {"GroupOfWrongType", "[timeouts]", "[api]\nstatus = { group = true }\n[timeouts]", 23, "api.status.group",
     "is a boolean"},
    {"ModeOfWrongType", "[timeouts]", "[api]\nstatus = { mode = 0o666 }\n[timeouts]", 23, "api.status.mode",
     "is an integer, expected four octal digits"},
    {"ModeOf0", "[timeouts]", "[api]\nstatus = { mode = \"0000\" }\n[timeouts]", 23, "api.status.mode",
     "is \"0000\", expected four octal digits from \"0001\" to \"0777\""},
    {"ModeWithMoreBits", "[timeouts]", "[api]\nstatus = { mode = \"1666\" }\n[timeouts]", 23,
     "api.status.mode", "is \"1666\""},
    {"ModeOfOtherDigits", "[timeouts]", "[api]\nstatus = { mode = \"0668\" }\n[timeouts]", 23,
     "api.status.mode", "is \"0668\""},
    {"ModeOfThreeDigits", "[timeouts]", "[api]\nstatus = { mode = \"660\" }\n[timeouts]", 23,
     "api.status.mode", "is \"660\""},
    {"ModeWithASign", "[timeouts]", "[api]\nstatus = { mode = \"+660\" }\n[timeouts]", 23, "api.status.mode",
     "is \"+660\""},
    {"ListenWithoutPort", "[timeouts]", "[api]\nlisten = \"127.0.0.1\"\n[timeouts]", 23, "api.listen",
     "\"127.0.0.1\" has no port, expected a loopback address and port"},
    {"ListenOnAllAddresses", "[timeouts]", "[api]\nlisten = \"0.0.0.0:9100\"\n[timeouts]", 23, "api.listen",
     "\"0.0.0.0:9100\" is not a loopback address, expected a loopback address"},
    {"ListenOnAllIpv6Addresses", "[timeouts]", "[api]\nlisten = \"[::]:9100\"\n[timeouts]", 23, "api.listen",
     "\"[::]:9100\" is not a loopback address"},
    {"ListenOnAVip", "[timeouts]", "[api]\nlisten = \"198.18.0.10:80\"\n[timeouts]", 23, "api.listen",
     "\"198.18.0.10:80\" is not a loopback address"},
    {"ListenOfWrongType", "[timeouts]", "[api]\nlisten = 9100\n[timeouts]", 23, "api.listen",
     "is an integer, expected a loopback address and port"},
    // Between services
    {"DuplicateServiceName", "\"service-b\"\nvip", "\"service-a\"\nvip", 12, "service[1].name",
     "\"service-a\" is also the name of the service in line 2"},
    {"UnknownServiceInGroup", "[\"service-a\"]", "[\"service-aa\"]", 20, "group[0].services[0]",
     "there is no service \"service-aa\", did you mean \"service-a\"?"},
    {"ServiceTwiceInGroup", "[\"service-a\"]", "[\"service-a\", \"service-a\"]", 20, "group[0].services[1]",
     "is already in the group"},
    {"EmptyGroup", "[\"service-a\"]", "[]", 20, "group[0].services", "is empty"},
    {"GroupWithoutServices", "services = [\"service-a\"]\n", "\n", 18, "group[0].services", "is missing"},
    {"DuplicateGroup", "[timeouts]", "[[group]]\nname = \"shop\"\nservices = [\"service-a\"]\n[timeouts]", 23,
     "group[1].name", "\"shop\" is also the name of the group in line 19"},
};
INSTANTIATE_TEST_SUITE_P(Config, ConfigMistake, testing::ValuesIn(kMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Config, AcceptsTheBaseOfTheMistakes) {
  EXPECT_EQ(joined(errors_of(kBase)), "");
}

TEST(Config, RefusesADuplicateVip) {
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.0.10:80");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  EXPECT_EQ(joined(errors_of(text)), "") << "the protocols differ";
  EXPECT_EQ(
      joined(errors_of(with(text, "\"udp\"", "\"tcp\""))),
      "teal.toml:13: service[1].vip: 198.18.0.10:80/tcp is also the VIP of service \"service-a\" (line 3), "
      "expected a different address, port or protocol for each VIP and preview address\n");
}

TEST(Config, APreviewAddressIsNoOtherAddressOfTheFile) {
  const auto with_preview = [](const std::string& address) {
    const std::string vip = "vip = \"198.18.0.10:80\"\n";
    return with(kBase, vip, vip + "preview = \"" + address + "\"\n");
  };
  EXPECT_EQ(joined(errors_of(with_preview("198.18.0.110:80"))), "");
  EXPECT_EQ(joined(errors_of(with_preview("198.18.0.10:8080"))), "") << "another port";
  EXPECT_EQ(joined(errors_of(with_preview("198.18.0.10:80"))),
            "teal.toml:4: service[0].preview: 198.18.0.10:80/tcp is also the VIP of service \"service-a\" "
            "(line 3), expected a different address, port or protocol for each VIP and preview address\n");
  EXPECT_EQ(joined(errors_of(with_preview("[fd18::110]:80"))),
            "teal.toml:4: service[0].preview: \"[fd18::110]:80\" is IPv6 but the VIP \"198.18.0.10:80\" is "
            "IPv4, expected one address family in a service\n");
  EXPECT_EQ(joined(errors_of(with_preview("198.18.2.11:8080"))),
            "teal.toml:6: service[0].blue[0]: 198.18.2.11:8080/tcp is the preview address of service "
            "\"service-a\" (line 4), expected the socket of a backend server\n");
  EXPECT_NE(joined(errors_of(with_preview("198.18.0.110"))).find("has no port"), std::string::npos);
}

TEST(Config, RefusesABackendSocketOfTwoServices) {
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.0.11:80");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\",\n  \"198.18.2.12:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  EXPECT_EQ(joined(errors_of(text)), "") << "the protocols differ";
  EXPECT_EQ(
      joined(errors_of(with(text, "\"udp\"", "\"tcp\""))),
      "teal.toml:16: service[1].blue[1]: 198.18.2.12:8080/tcp of service \"service-b\" is also a backend of "
      "service \"service-a\" (line 5), expected a socket of one service only: the source of a reply names "
      "the "
      "service\n");
}

TEST(Config, RefusesAVipThatIsABackendOfAnotherService) {
  // In this file the VIP follows the backend.
  std::string text = with(kBase, "[fd18:0::10]:80", "198.18.2.21:8080");
  text = with(text, "[\"[fd18:2::11]:8080\"]", "[\"198.18.2.31:8080\"]");
  text = with(text, "[\"[fd18:2::21]:8080\"]", "[\"198.18.2.41:8080\"]");
  const ConfigErrors errors = errors_of(with(text, "\"udp\"", "\"tcp\""));
  EXPECT_EQ(
      joined(errors),
      "teal.toml:6: service[0].green[0]: 198.18.2.21:8080/tcp is the VIP of service \"service-b\" (line 13), "
      "expected the socket of a backend server\n");
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

}  // namespace
}  // namespace teal
