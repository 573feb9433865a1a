// SPDX-License-Identifier: Apache-2.0
//
// [service.check] and the keys of a service that say what health does.
#include <gtest/gtest.h>

#include "tests/unit/control/config/config_texts.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// Line 7 is the first line behind the keys of the service, and line 8 follows [service.check].
std::string checked(const std::string& check, const std::string& keys = "") {
  return R"([[service]]
name = "web"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080"]
green = ["198.18.2.21:8080"]
)" + keys +
         "[service.check]\n" + check;
}

ServiceConfig parsed(const std::string& text) {
  const auto config = parse_config(text, kPath);
  EXPECT_TRUE(config) << joined(config.error());
  return config ? config->services.front() : ServiceConfig();
}

TEST(ConfigCheck, WithoutATableNothingIsChecked) {
  const ServiceConfig service = parsed(kBase);
  EXPECT_FALSE(service.check);
  EXPECT_EQ(service.health, HealthRules());
}

TEST(ConfigCheck, HasDefaults) {
  const ServiceConfig service = parsed(checked("kind = \"http\"\n"));
  ASSERT_TRUE(service.check);
  HealthCheck expected;
  expected.kind = CheckKind::kHttp;
  EXPECT_EQ(*service.check, expected);
  EXPECT_EQ(expected.interval, 1s);
  EXPECT_EQ(expected.timeout, 1s);
  EXPECT_EQ(expected.rise, 2u);
  EXPECT_EQ(expected.fall, 3u);
  EXPECT_EQ(expected.path, "/");
  EXPECT_EQ(expected.least_status, 200);
  EXPECT_EQ(expected.most_status, 399);
}

TEST(ConfigCheck, ReadsEveryKeyOfEveryKind) {
  HealthCheck http = *parsed(checked("kind = \"http\"\npath = \"/healthz?x=1\"\nhost = \"shop.example:81\"\n"
                                     "port = 8081\nstatus = \"204\"\nmatch = \"ok\"\ninterval = \"100ms\"\n"
                                     "timeout = \"1m\"\nrise = 1\nfall = 100\n"))
                          .check;
  EXPECT_EQ(http.path + http.host + http.match, "/healthz?x=1shop.example:81ok");
  EXPECT_EQ(http.port, 8081);
  EXPECT_EQ(http.least_status, 204);
  EXPECT_EQ(http.most_status, 204);
  EXPECT_EQ(http.interval, 100ms);
  EXPECT_EQ(http.timeout, 1min);
  EXPECT_EQ(http.rise, 1u);
  EXPECT_EQ(http.fall, 100u);
  const HealthCheck udp =
      *parsed(checked("kind = \"udp\"\nsend = \"ping\"\nexpect = \"pong\"\nport = 53\n")).check;
  EXPECT_EQ(udp.kind, CheckKind::kUdp);
  EXPECT_EQ(udp.send + udp.expect, "pingpong");
  const HealthCheck command =
      *parsed(checked("kind = \"command\"\ncommand = [\"/bin/check\", \"a b\", \"\"]\n")).check;
  EXPECT_EQ(command.command, (std::vector<std::string>{"/bin/check", "a b", ""}));
  EXPECT_EQ(parsed(checked("kind = \"tcp\"\nport = 1\n")).check->port, 1);
}

TEST(ConfigCheck, ReadsWhatHealthDoes) {
  const HealthRules rules =
      parsed(checked("kind = \"tcp\"\n",
                     "on_down = \"reset\"\nslow_start = \"30s\"\npanic = 50\nempty = \"reject\"\n"))
          .health;
  EXPECT_EQ(rules.on_down, HealthRules::OnDown::kReset);
  EXPECT_EQ(rules.slow_start, 30s);
  EXPECT_EQ(rules.panic, 50u);
  EXPECT_EQ(rules.empty, HealthRules::Empty::kReject);
  EXPECT_EQ(parsed(checked("kind = \"tcp\"\n", "slow_start = \"0s\"\n")).health.slow_start, 0s);
}

TEST(ConfigCheck, ReadsWhenABackendIsEjected) {
  const auto eject = [](const std::string& keys) {
    return parsed(checked("kind = \"tcp\"\n", keys)).health.eject;
  };
  EXPECT_EQ(eject(""), EjectRules());
  EXPECT_TRUE(eject("eject = true\n").is_on);
  EXPECT_FALSE(eject("eject = false\n").is_on);
  EXPECT_EQ(eject("eject = { failures = 3, time = \"5s\", max_share = 20 }\n"),
            (EjectRules{.is_on = true, .failures = 3, .time = 5s, .max_share = 20}));
}

struct CheckMistake {
  const char* name;
  const char* keys;   // of the service
  const char* check;  // after kind, in line 8
  int line;
  const char* error;  // from the field on
};
class ConfigCheckMistake : public testing::TestWithParam<CheckMistake> {};

TEST_P(ConfigCheckMistake, IsReportedOnceWithLineFieldAndExpectation) {
  const ConfigErrors errors = errors_of(checked(GetParam().check, GetParam().keys));
  ASSERT_EQ(errors.size(), 1u) << joined(errors);
  EXPECT_EQ(errors[0], std::string(kPath) + ":" + std::to_string(GetParam().line) + ": " + GetParam().error);
}

constexpr CheckMistake kCheckMistakes[] = {
    {"NoKind", "", "interval = \"1s\"\n", 7,
     "service[0].check.kind: is missing, expected \"tcp\", \"http\", \"udp\" or \"command\""},
    {"UnknownKind", "", "kind = \"icmp\"\n", 8,
     "service[0].check.kind: is \"icmp\", expected \"tcp\", \"http\", \"udp\" or \"command\""},
    {"UnknownKey", "", "kind = \"tcp\"\nintervall = \"1s\"\n", 9,
     "service[0].check.intervall: is an unknown field, did you mean \"interval\"?"},
    {"KeyOfAnotherKind", "", "kind = \"tcp\"\npath = \"/\"\n", 9,
     "service[0].check.path: is not a key of this check, whose kind is \"tcp\", expected it with kind "
     "\"http\" only"},
    {"PortOfACommand", "", "kind = \"command\"\ncommand = [\"/x\"]\nport = 1\n", 10,
     "service[0].check.port: is not a key of this check, whose kind is \"command\", expected it with kind "
     "\"tcp\" or "
     "\"http\" or \"udp\" only"},
    {"Port0", "", "kind = \"tcp\"\nport = 0\n", 9,
     "service[0].check.port: is 0, expected an integer from 1 to 65535"},
    {"RelativePath", "", "kind = \"http\"\npath = \"healthz\"\n", 9,
     "service[0].check.path: is \"healthz\", expected a path of at most 1024 bytes that begins with \"/\" "
     "and has no "
     "spaces"},
    {"PathThatInjectsAHeader", "", "kind = \"http\"\npath = \"/ HTTP/1.1\\r\\nX: y\"\n", 9,
     "service[0].check.path: is \"/ HTTP/1.1\\x0d\\x0aX: y\", expected a path of at most 1024 bytes that "
     "begins with "
     "\"/\" and has no spaces"},
    {"HostThatInjectsAHeader", "", "kind = \"http\"\nhost = \"x\\r\\ny\"\n", 9,
     "service[0].check.host: is \"x\\x0d\\x0ay\", expected a host name without spaces such as "
     "\"shop.example\""},
    {"StatusRangeBackwards", "", "kind = \"http\"\nstatus = \"399-200\"\n", 9,
     "service[0].check.status: is \"399-200\", expected a status code or a range from 100 to 599 such as "
     "\"200\" or "
     "\"200-399\""},
    {"StatusOfTwoDigits", "", "kind = \"http\"\nstatus = \"20-399\"\n", 9,
     "service[0].check.status: is \"20-399\", expected a status code or a range from 100 to 599 such as "
     "\"200\" or "
     "\"200-399\""},
    {"StatusAsANumber", "", "kind = \"http\"\nstatus = 200\n", 9,
     "service[0].check.status: is an integer, expected a status code or a range from 100 to 599 such as "
     "\"200\" or "
     "\"200-399\""},
    {"EmptyMatch", "", "kind = \"http\"\nmatch = \"\"\n", 9,
     "service[0].check.match: has 0 bytes, expected a text of 1 to 1024 bytes"},
    {"NothingToSend", "", "kind = \"udp\"\n", 7,
     "service[0].check.send: is missing, expected the text of the request, such as \"ping\""},
    {"NoCommand", "", "kind = \"command\"\n", 7,
     "service[0].check.command: is missing, expected an array of strings whose first one is an absolute "
     "path, such as "
     "[\"/usr/lib/teal/check\", \"arg\"]"},
    {"EmptyCommand", "", "kind = \"command\"\ncommand = []\n", 9,
     "service[0].check.command: is empty, expected an array of strings whose first one is an absolute path, "
     "such as "
     "[\"/usr/lib/teal/check\", \"arg\"]"},
    {"RelativeCommand", "", "kind = \"command\"\ncommand = [\"check\"]\n", 9,
     "service[0].check.command: begins with \"check\", expected an array of strings whose first one is an "
     "absolute "
     "path, such as [\"/usr/lib/teal/check\", \"arg\"]"},
    {"CommandWithNul", "", "kind = \"command\"\ncommand = [\"/x\", \"a\\u0000b\"]\n", 9,
     "service[0].check.command[1]: has a NUL character, expected a word that a program can get"},
    {"CommandOfNumbers", "", "kind = \"command\"\ncommand = [\"/x\", 7]\n", 9,
     "service[0].check.command[1]: is an integer, expected a string"},
    {"IntervalTooShort", "", "kind = \"tcp\"\ninterval = \"99ms\"\n", 9,
     "service[0].check.interval: is \"99ms\", expected a duration from \"100ms\" to \"1h\" such as "
     "\"250ms\", \"30s\" or "
     "\"2h4m\""},
    {"TimeoutTooLong", "", "kind = \"tcp\"\ntimeout = \"61s\"\n", 9,
     "service[0].check.timeout: is \"61s\", expected a duration from \"100ms\" to \"1m\" such as \"250ms\", "
     "\"30s\" or "
     "\"2h4m\""},
    {"Rise0", "", "kind = \"tcp\"\nrise = 0\n", 9,
     "service[0].check.rise: is 0, expected an integer from 1 to 100"},
    {"Fall101", "", "kind = \"tcp\"\nfall = 101\n", 9,
     "service[0].check.fall: is 101, expected an integer from 1 to 100"},
    {"OnDown", "on_down = \"drop\"\n", "kind = \"tcp\"\n", 7,
     "service[0].on_down: is \"drop\", expected \"keep\" or \"reset\""},
    {"SlowStart", "slow_start = \"2h\"\n", "kind = \"tcp\"\n", 7,
     "service[0].slow_start: is \"2h\", expected a duration from \"0s\" to \"1h\" such as \"250ms\", \"30s\" "
     "or \"2h4m\""},
    {"Panic", "panic = 101\n", "kind = \"tcp\"\n", 7,
     "service[0].panic: is 101, expected an integer from 0 to 100"},
    {"Empty", "empty = \"close\"\n", "kind = \"tcp\"\n", 7,
     "service[0].empty: is \"close\", expected \"serve\" or \"reject\""},
    {"EjectFailures", "eject = { failures = 0 }\n", "kind = \"tcp\"\n", 7,
     "service[0].eject.failures: is 0, expected an integer from 1 to 10000"},
    {"EjectKey", "eject = { times = 5 }\n", "kind = \"tcp\"\n", 7,
     "service[0].eject.times: is an unknown field, did you mean \"time\"?"},
    {"EjectShare", "eject = { max_share = 101 }\n", "kind = \"tcp\"\n", 7,
     "service[0].eject.max_share: is 101, expected an integer from 0 to 100"},
};
INSTANTIATE_TEST_SUITE_P(Config, ConfigCheckMistake, testing::ValuesIn(kCheckMistakes),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ConfigCheck, ACheckThatIsNoTableIsRefused) {
  std::string text = checked("");
  text = with(text, "[service.check]\n", "check = \"tcp\"\n");
  EXPECT_EQ(
      joined(errors_of(text)),
      "teal.toml:7: service[0].check: is a string, expected a table such as [service.check] with kind = "
      "\"tcp\"\n");
}

TEST(ConfigCheck, ACommandIsBounded) {
  std::string words = "\"/x\"";
  for (int i = 0; i < 63; ++i) words += ", \"a\"";
  EXPECT_EQ(joined(errors_of(checked("kind = \"command\"\ncommand = [" + words + "]\n"))), "");
  EXPECT_NE(joined(errors_of(checked("kind = \"command\"\ncommand = [" + words + ", \"a\"]\n")))
                .find("has 65 words of 66 bytes, expected at most 64 words of 4096 bytes in all"),
            std::string::npos);
  EXPECT_NE(joined(errors_of(checked("kind = \"command\"\ncommand = [\"/x\", \"" + std::string(4095, 'x') +
                                     "\"]\n")))
                .find("expected at most 64 words"),
            std::string::npos);
}

}  // namespace
}  // namespace teal
