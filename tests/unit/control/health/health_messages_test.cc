// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_messages.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/damage.h"
#include "tests/support/rounds.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

std::string without_end(std::string line) {
  EXPECT_TRUE(line.ends_with('\n'));
  line.pop_back();
  EXPECT_EQ(line.find('\n'), std::string::npos);
  return line;
}

CheckOrder order_of(CheckKind kind, uint16_t backend) {
  CheckOrder order{.backend = backend,
                   .address = parse_socket("[fd18:2::11]:8080").value(),
                   .service = "web",
                   .colour = "both",
                   .up = {},
                   .check = {}};
  order.check.kind = kind;
  order.check.interval = 2500ms;
  order.check.timeout = 700ms;
  order.check.rise = 4;
  order.check.fall = 5;
  return order;
}

TEST(HealthMessages, ChecksOfAllKindsArriveAsTheyWereSent) {
  CheckList list{.revision = 77, .checks = {}};
  list.checks.push_back(order_of(CheckKind::kTcp, 0));
  list.checks.back().up = false;
  list.checks.push_back(order_of(CheckKind::kHttp, 4095));
  list.checks.back().check.path = "/x?\"y\"";
  list.checks.back().check.host = "shop.example";
  list.checks.back().check.match = "line\nend \xc3\xa4";
  list.checks.back().check.least_status = 204;
  list.checks.back().check.most_status = 299;
  list.checks.back().check.port = 8081;
  list.checks.push_back(order_of(CheckKind::kUdp, 2));
  list.checks.back().check.send = std::string("a\0b", 3);
  list.checks.back().check.expect = "pong";
  list.checks.push_back(order_of(CheckKind::kCommand, 3));
  list.checks.back().check.command = {"/bin/check", "", "a b"};
  list.checks.back().up = true;
  const auto parsed = parse_to_prober(without_end(line_of(list)));
  ASSERT_TRUE(parsed) << parsed.error();
  const auto& got = std::get<CheckList>(*parsed);
  EXPECT_EQ(got.revision, 77u);
  ASSERT_EQ(got.checks.size(), list.checks.size());
  for (size_t i = 0; i < got.checks.size(); ++i) {
    EXPECT_TRUE(got.checks[i].is_like(list.checks[i])) << i;
    EXPECT_EQ(got.checks[i].up, list.checks[i].up) << i;
  }
}

TEST(HealthMessages, ReportsArriveAsTheyWereSent) {
  const HealthReport report{.revision = 3,
                            .backend = 4095,
                            .up = false,
                            .passed = true,
                            .reason = "the body lacks \"ok\"",
                            .at_ms = 1'795'930'000'000};
  const auto parsed = parse_to_teald(without_end(line_of(report)));
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_EQ(std::get<HealthReport>(*parsed), report);
  EXPECT_TRUE(std::holds_alternative<ProberAlive>(*parse_to_teald(without_end(line_of(ProberAlive())))));
  const auto refused = parse_to_prober(without_end(line_of(ProberRefused{"another one"})));
  EXPECT_EQ(std::get<ProberRefused>(*refused).why, "another one");
}

TEST(HealthMessages, HooksAndTheirEndsArriveAsTheyWereSent) {
  HookOrder order{.id = 1'795'930'000'000'001, .hook = Hook::kRolledBack, .run = {}, .input = ""};
  order.run.command = {"/usr/lib/x", "", "a b"};
  order.run.timeout = 1500ms;
  order.not_after_ms = 1'234'567'890;
  order.input = "{\"reason\":\"line\\nend \xc3\xa4\"}";
  const auto parsed = parse_to_prober(without_end(line_of(order)));
  ASSERT_TRUE(parsed) << parsed.error();
  const auto& got = std::get<HookOrder>(*parsed);
  EXPECT_EQ(got.id, order.id);
  EXPECT_EQ(got.hook, order.hook);
  EXPECT_EQ(got.run, order.run);
  EXPECT_EQ(got.input, order.input);
  EXPECT_EQ(got.not_after_ms, order.not_after_ms);
  const HookDone done{.id = 7, .passed = false, .reason = "exit code 3"};
  const auto ended = parse_to_teald(without_end(line_of(done)));
  ASSERT_TRUE(ended) << ended.error();
  EXPECT_EQ(std::get<HookDone>(*ended), done);
}

TEST(HealthMessages, OtherHooksAreRefused) {
  const std::string good =
      R"({"type":"hook","id":1,"hook":"step","command":["/x"],"timeout_ms":1,"input":"{}","not_after_ms":9})";
  ASSERT_TRUE(parse_to_prober(good));
  const std::pair<const char*, std::string> mistakes[] = {
      {"\"id\":1", "\"id\":-1"},
      {"\"step\"", "\"steps\""},
      {"\"step\"", "7"},
      {"[\"/x\"]", "[]"},
      {"[\"/x\"]", "[\"x\"]"},
      {"[\"/x\"]", "[\"/x\",7]"},
      {"[\"/x\"]", "[\"/x\\u0000\"]"},
      {"[\"/x\"]", "\"/x\""},
      {"\"timeout_ms\":1", "\"timeout_ms\":0"},
      {"\"timeout_ms\":1", "\"timeout_ms\":1e9"},
      {"\"input\":\"{}\"", "\"input\":{}"},
      {"{}", std::string(kMaxHookInput + 1, 'x')},
  };
  for (const auto& [from, to] : mistakes) {
    std::string line = good;
    line.replace(line.find(from), std::string_view(from).size(), to);
    EXPECT_FALSE(parse_to_prober(line)) << line.substr(0, 200);
  }
  for (const char* line : {R"({"type":"hook_done"})", R"({"type":"hook_done","id":1,"passed":1,"reason":""})",
                           R"({"type":"hook_done","id":"1","passed":true,"reason":""})",
                           R"({"type":"hook_done","id":1,"passed":true})"})
    EXPECT_FALSE(parse_to_teald(line)) << line;
}

constexpr const char* kBadReports[] = {
    "",
    "{",
    "null",
    "[]",
    "\"health\"",
    "{}",
    R"({"type":7})",
    R"({"type":"unknown"})",
    R"({"type":"health"})",
    R"({"type":"health","revision":1,"backend":4096,"up":true,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":-1,"up":true,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":1.5,"up":true,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":1,"up":1,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":1,"up":true,"passed":true,"reason":null,"at_ms":1})",
    R"({"type":"health","revision":-1,"backend":1,"up":true,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":1,"up":true,"passed":true,"reason":"","at_ms":1e300})",
    R"({"type":"health","revision":18446744073709551615,"backend":1,"up":true,"passed":true,"reason":"","at_ms":1})",
    R"({"type":"health","revision":1,"backend":1,"up":true,"passed":true,"reason":"","at_ms":9223372036854775807})",
    R"({"type":"checks","revision":1,"checks":[]})",
};

TEST(HealthMessages, OtherLinesFromAProberAreRefused) {
  for (const char* line : kBadReports) {
    const auto parsed = parse_to_teald(line);
    ASSERT_FALSE(parsed) << line;
    EXPECT_FALSE(parsed.error().empty());
  }
  EXPECT_FALSE(parse_to_teald(std::string(kMaxReportBytes + 1, ' ')));
  EXPECT_FALSE(parse_to_teald(std::string(4000, '[')));
}

TEST(HealthMessages, UnknownFieldsAreIgnored) {
  EXPECT_TRUE(parse_to_teald(R"({"type":"alive","load":[1,{"a":2}]})"));
}

TEST(HealthMessages, OtherListsAreRefused) {
  const std::string good =
      without_end(line_of(CheckList{.revision = 1, .checks = {order_of(CheckKind::kTcp, 1)}}));
  ASSERT_TRUE(parse_to_prober(good));
  const std::pair<const char*, const char*> mistakes[] = {
      {"\"revision\":1", "\"revision\":\"1\""},
      {"\"checks\":[", "\"checks\":[7,"},
      {"\"backend\":1", "\"backend\":4096"},
      {"8080\"", "0\""},
      {"\"tcp\"", "\"icmp\""},
      {"\"interval_ms\":2500", "\"interval_ms\":0"},
      {"\"timeout_ms\":700", "\"timeout_ms\":3600001"},
      {"\"rise\":4", "\"rise\":0"},
      {"\"fall\":5", "\"fall\":101"},
      {"\"fall\":5", "\"fall\":5,\"port\":65536"},
      {"\"fall\":5", "\"fall\":5,\"up\":\"yes\""},
      {"\"tcp\"", "\"http\""},     // without its fields
      {"\"tcp\"", "\"command\""},  // without its fields
      {"\"tcp\"", "\"command\",\"command\":[]"},
      {"\"tcp\"", "\"command\",\"command\":[\"relative\"]"},
      {"\"tcp\"", "\"command\",\"command\":[\"/x\",\"a\\u0000b\"]"},
      {"\"tcp\"", "\"command\",\"command\":[\"/x\",7]"},
  };
  for (const auto& [from, to] : mistakes) {
    std::string line = good;
    const size_t at = line.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    line.replace(at, std::string(from).size(), to);
    EXPECT_FALSE(parse_to_prober(line)) << line;
  }
  const auto twice =
      CheckList{.revision = 1, .checks = {order_of(CheckKind::kTcp, 1), order_of(CheckKind::kTcp, 1)}};
  EXPECT_FALSE(parse_to_prober(without_end(line_of(twice))));
}

TEST(HealthMessages, AListOf4096ChecksFitsTheBound) {
  CheckList list{.revision = 1, .checks = {}};
  for (uint16_t id = 0; id < 4096; ++id) {
    list.checks.push_back(order_of(CheckKind::kCommand, id));
    list.checks.back().check.command = {"/bin/check", std::string(4000, 'x')};
  }
  const std::string line = without_end(line_of(list));
  EXPECT_LT(line.size(), kMaxCheckListBytes);
  EXPECT_TRUE(parse_to_prober(line));
}

TEST(HealthMessages, RandomChangesOfALineNeverThrow) {
  const std::string good =
      without_end(line_of(CheckList{.revision = 1, .checks = {order_of(CheckKind::kHttp, 1)}}));
  std::mt19937 random(1);
  for (int i = 0; i < test::rounds(20'000); ++i) {
    const std::string line = test::damaged(good, random);
    (void)parse_to_prober(line);
    (void)parse_to_teald(line);
  }
}

TEST(CleanReason, IsOneShortLineOfUtf8) {
  EXPECT_EQ(clean_reason("  no\ndisk\t\x1b[0m \x7f "), "no disk  [0m");
  EXPECT_EQ(clean_reason("a\xff"
                         "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(clean_reason(std::string(1000, 'x')).size(), kMaxHealthReason);
  std::string umlauts;
  for (int i = 0; i < 300; ++i) umlauts += "\xc3\xa4";
  const std::string cut = clean_reason("x" + umlauts);
  EXPECT_LE(cut.size(), kMaxHealthReason);
  EXPECT_NE(cut.back(), '\xc3') << "no half character";
  EXPECT_EQ(clean_reason(" \n "), "");
}

TEST(LineReader, JoinsPiecesAndBoundsLines) {
  LineReader reader(8);
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) {
    lines.emplace_back(line);
    return true;
  };
  EXPECT_TRUE(reader.feed("one\ntw", take));
  EXPECT_TRUE(reader.feed("o\n\nth", take));
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", ""}));
  EXPECT_TRUE(reader.feed("ree-8b", take));
  EXPECT_FALSE(reader.feed("x", take)) << "nine bytes without a line end";
  LineReader another(8);
  EXPECT_FALSE(another.feed("123456789\n", take));
  LineReader stopped(8);
  EXPECT_FALSE(stopped.feed("a\nb\n", [](std::string_view) { return false; }));
}

}  // namespace
}  // namespace teal
