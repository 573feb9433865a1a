// SPDX-License-Identifier: Apache-2.0
//
// Parts of the command line that depend only on their arguments.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/change.h"
#include "control/cli/invocation/event_parser.h"
#include "control/cli/pages/bars.h"
#include "control/cli/terminal/table.h"
#include "control/cli/terminal/utf8_locale.h"
#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

TEST(Table, AlignsAndLeavesNoTrailingSpaces) {
  const Table table{.columns = {{"NAME"}, {"COUNT", kRight}, {"NOTE"}},
                    .rows = {{"a", "1", ""}, {"long-name", "1234567", "x"}}};
  EXPECT_EQ(table.text(80, false),
            "NAME         COUNT  NOTE\n"
            "a                1\n"
            "long-name  1234567  x\n");
}

TEST(Table, WrapsTheWidestColumnAndCutsNothing) {
  const Table table{.columns = {{"NAME", kLeft, true}, {"N", kRight}, {"TEXT", kLeft, true}},
                    .rows = {{"abcdefghijklmnop", "12345", "some words that are long"}}};
  EXPECT_EQ(table.text(32, false),
            "NAME             N  TEXT\n"
            "abcdefghijk  12345  some words\n"
            "lmnop               that are\n"
            "                    long\n");
}

TEST(Table, BreaksAnAddressBeforeItsPortAndABackendBeforeItsAddress) {
  const Table table{.columns = {{"CLIENT", kLeft, true}}, .rows = {{"198.18.1.101:40000"}}};
  EXPECT_EQ(table.text(17, false), "CLIENT\n198.18.1.101\n:40000\n");
  const Table history{.columns = {{"WHAT", kLeft, true}},
                      .rows = {{"reload backend service-a/blue/198.18.2.13:8080"}}};
  EXPECT_EQ(history.text(31, false), "WHAT\nreload backend\nservice-a/blue/198.18.2.13:8080\n");
  const Table backends{.columns = {{"BACKEND", kLeft, true}}, .rows = {{"service-a/blue/198.18.2.11:8080"}}};
  EXPECT_EQ(backends.text(20, false), "BACKEND\nservice-a/blue\n/198.18.2.11:8080\n");
}

TEST(Table, CountsCharactersAndBreaksNone) {
  const Table table{.columns = {{"A", kLeft, true}, {"B"}}, .rows = {{"äöü", "x"}, {"abc", "y"}}};
  EXPECT_EQ(table.text(80, false), "A    B\näöü  x\nabc  y\n");
  const Table narrow{.columns = {{"A", kLeft, true}}, .rows = {{"ääääääääää"}}};
  EXPECT_EQ(narrow.text(8, false), "A\nääääääää\nää\n");
}

TEST(Table, ColoursOnlyWhereAsked) {
  const Table table{.columns = {{"C"}}, .rows = {{{"blue", style_of("blue")}}}};
  EXPECT_EQ(table.text(80, false), "C\nblue\n");
  EXPECT_EQ(table.text(80, true), "\033[1mC\033[0m\n\033[34mblue\033[0m\n");
}

TEST(Table, WordsOfAKeyStayWholeBelowTheirRowsIfNecessary) {
  const Table table{
      .columns = {{"N", kRight}, {"NAME", kLeft, true, true}, {"WHAT", kLeft, true, true, true}},
      .rows = {{"1", "web/green", "weight 1 -> 2"}, {"2", "web", ""}}};
  EXPECT_EQ(table.text(22, false),
            "N  NAME       WHAT\n"
            "1  web/green  weight 1\n"
            "              -> 2\n"
            "2  web\n");
  EXPECT_EQ(table.text(17, false),
            "N  NAME\n"
            "   WHAT\n"
            "1  web/green\n"
            "   weight 1 -> 2\n"
            "2  web\n");
  EXPECT_EQ(table.text(11, false),
            "N  NAME\n"
            "   WHAT\n"
            "1  web\n"
            "   /green\n"
            "   weight 1\n"
            "   -> 2\n"
            "2  web\n")
      << "nothing is cut off";
}

TEST(Filled, HangsLinesUnderTheFirst) {
  EXPECT_EQ(filled("some words that are long", 2, 14), "some words\n  that are\n  long\n");
  EXPECT_EQ(filled("unbreakable-beyond-any-width", 0, 5), "unbreakable-beyond-any-width\n");
  EXPECT_EQ(filled("", 4, 20), "\n");
}

TEST(Duration, NeedsAUnit) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("1m30s"), milliseconds(90'000));
  for (const char* bad : {"", "2", "0.5", "0", "-1", "s", "1x", "25h", "nan", "inf", "1e400", "90000"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
  EXPECT_EQ(parse_duration("25h", std::chrono::hours(168)), std::chrono::hours(25));
}

TEST(SpanText, SaysTimesAsPeopleDo) {
  const std::pair<double, const char*> spans[] = {
      {-1, "0s"},        {0, "0s"},       {3.1e-6, "3.1us"}, {0.0031, "3.1ms"}, {0.42, "420ms"},
      {0.5, "500ms"},    {0.9999, "1s"},  {1.5, "1.5s"},     {2.04, "2s"},      {9.96, "10s"},
      {59.6, "1m"},      {90, "1m30s"},   {252.4, "4m12s"},  {3600, "1h"},      {7505, "2h5m"},
      {100'000, "1d3h"}, {604'800, "7d"}, {1e300, "years"}};
  for (const auto& [seconds, text] : spans) EXPECT_EQ(span_text(seconds), text);
}

TEST(TimeText, ShortensWhatTheDaemonSays) {
  EXPECT_EQ(time_text("2026-11-23T05:30:00.123Z"), "2026-11-23 05:30:00Z");
  EXPECT_EQ(time_text("yesterday"), "yesterday");
  EXPECT_EQ(time_text(""), "");
  EXPECT_EQ(time_text(1'795'930'200), "2026-11-29 05:30:00Z");
  EXPECT_EQ(with_times("from 2026-11-23T05:30:00.123Z to 2026-11-23T05:30"),
            "from 2026-11-23 05:30:00Z to 2026-11-23T05:30");
}

TEST(Clean, LeavesATerminalNothingToObey) {
  EXPECT_EQ(clean("release \033[2J\r\n42\x7f"), "release ?[2J??42?");
  EXPECT_EQ(clean("c1 \xc2\x9b z"), "c1 ? z");
  EXPECT_EQ(clean("fünf"), "fünf");
}

TEST(Utf8, IsWhatTheFirstOfTheVariablesSays) {
  EXPECT_TRUE(is_utf8("", "", "C.UTF-8"));
  EXPECT_TRUE(is_utf8("", "de_DE.utf8@euro", "C"));
  EXPECT_FALSE(is_utf8("C", "", "C.UTF-8"));
  EXPECT_FALSE(is_utf8("", "de_DE.ISO-8859-1", "C.UTF-8"));
  EXPECT_FALSE(is_utf8("", "", ""));
  EXPECT_FALSE(is_utf8("", "", "utf8"));
}

TEST(EventParser, TakesBytesCutAnywhere) {
  const std::string bytes =
      ": teald\n\nid: 7\nevent: published\ndata: {\"a\":1}\n\n: still here\n\nevent: x\r\ndata: 1\r\ndata: "
      "2\r\n\r\n"
      "id: 9\ndata: unfinished\n";
  for (size_t step : {size_t{1}, size_t{3}, bytes.size()}) {
    EventParser parser;
    std::vector<StreamedEvent> events;
    for (size_t at = 0; at < bytes.size(); at += step) {
      for (auto& event : parser.feed(std::string_view(bytes).substr(at, step))) events.push_back(event);
    }
    ASSERT_EQ(events.size(), 2u) << step;
    EXPECT_EQ(events[0].id, 7u);
    EXPECT_EQ(events[0].type, "published");
    EXPECT_EQ(events[0].data, "{\"a\":1}");
    EXPECT_EQ(events[1].id, std::nullopt);
    EXPECT_EQ(events[1].data, "1\n2");
  }
}

class BarTest : public testing::Test {
 protected:
  std::ostringstream unused_;
  Surroundings ascii_{.out = unused_, .err = unused_};
  Surroundings fancy_{.out = unused_, .err = unused_, .colour = true, .utf8 = true};
};

TEST_F(BarTest, IsAsciiWithoutUtf8AndColouredOnlyWhereAsked) {
  EXPECT_EQ(bar(0.25, 8, Style::kBlue, Style::kGreen, ascii_), "##......");
  EXPECT_EQ(bar(1, 4, Style::kBlue, Style::kGreen, ascii_), "####");
  EXPECT_EQ(bar(0.5, 2, Style::kBlue, Style::kGreen, fancy_), "\033[34m\u2588\033[0m\033[32m\u2591\033[0m");
  EXPECT_EQ(bar(-3, 2, Style::kBlue, Style::kPlain, ascii_), "..");
}

TEST_F(BarTest, ShowsTheShareOfNewFlowsAndHowFarADrainIs) {
  Bars bars;
  auto services = services_answer()["services"];
  const auto start = std::chrono::steady_clock::time_point() + std::chrono::hours(1);
  EXPECT_EQ(bars.text(services, start, ascii_),
            "new flows since the last refresh, and drains\n"
            "service-a       blue      at the next refresh       green\n"
            "  drain of blue        0% .................... 198 of 198 left, about 33s\n"
            "service-b       blue      at the next refresh       green\n");
  services[0]["colours"]["blue"]["new_flows"] = 1235;
  services[0]["colours"]["green"]["new_flows"] = 1019;  // 1 blue, 999 green
  services[0]["draining"]["flows"] = 99;
  const auto text = bars.text(services, start + std::chrono::seconds(2), ascii_);
  EXPECT_EQ(text,
            "new flows since the last refresh, and drains\n"
            "service-a       blue   1% ....................  99% green  500.0/s\n"
            "  drain of blue       50% ##########.......... 99 of 198 left, about 33s\n"
            "service-b       blue          no new flows          green\n");
  expect_80_columns(text);
}

TEST_F(BarTest, LinesFit80ColumnsWithAMillionFlows) {
  Bars bars;
  auto services = services_answer()["services"];
  services[0]["draining"]["flows"] = 9'999'999;
  services[0]["draining"]["estimate_seconds"] = 3599.0;
  const std::chrono::steady_clock::time_point start;
  bars.text(services, start, ascii_);
  services[0]["colours"]["blue"]["new_flows"] = 9'999'999'999;
  expect_80_columns(bars.text(services, start + std::chrono::seconds(1), ascii_));
}

TEST_F(BarTest, MeasuresEachDrainAnew) {
  Bars bars;
  auto services = services_answer()["services"];
  const std::chrono::steady_clock::time_point start;
  bars.text(services, start, ascii_);
  services[0]["generation_of_flip"] = 14;
  services[0]["draining"]["flows"] = 10;
  services[0]["draining"]["state"] = "overdue";
  EXPECT_TRUE(
      contains(bars.text(services, start, ascii_), "  0% .................... 10 of 10 left, overdue\n"));
}

TEST(Failure, MapsTheCodesOfTheApi) {
  const std::pair<const char*, int> expected[] = {{"bad_request", 1},
                                                  {"unknown_service", 1},
                                                  {"unknown_group", 1},
                                                  {"unknown_path", 1},
                                                  {"method_not_allowed", 1},
                                                  {"storage", 1},
                                                  {"unknown_backend", 1},
                                                  {"unknown_generation", 1},
                                                  {"bad_config", 1},
                                                  {"too_many_connections", 1},
                                                  {"not_ready", 1},
                                                  {"read_only", 1},
                                                  {"conflict", 5},
                                                  {"refused", 3},
                                                  {"locked", 3},
                                                  {"segment_refused", 3},
                                                  {"adoption_timeout", 4}};
  for (const auto& [code, exit_code] : expected) {
    EXPECT_EQ(failure_of_reply(400, error_answer(code, "m")).exit_code, exit_code) << code;
    EXPECT_EQ(failure_of_reply(400, error_answer(code, "m", "the daemon's")).hint, "the daemon's") << code;
  }
  for (const char* code : {"conflict", "refused", "locked", "bad_config", "read_only", "storage"})
    EXPECT_NE(failure_of_reply(400, error_answer(code, "m")).hint, "") << code;
  EXPECT_EQ(failure_of_reply(500, json::array()).exit_code, kError);
  EXPECT_EQ(failure_of_reply(500, {{"error", 5}}).exit_code, kError);
  EXPECT_EQ(failure_of_reply(500, nullptr).exit_code, kError);
}

TEST(ChangeSentence, CoversEveryAnswer) {
  const ChangeWords words{.done = "service-a blue -> green",
                          .would = "flip service-a blue -> green",
                          .nothing = "service-a is already there"};
  auto reply = flip_answer();
  EXPECT_EQ(change_sentence(reply, words),
            "generation 13: service-a blue -> green; adopted by 2 of 2 workers, slowest 3.1us\n");
  reply["workers"] = {{"live", 1}, {"adopted", 1}, {"asleep", 1}};
  reply["slowest_us"] = nullptr;
  EXPECT_EQ(change_sentence(reply, words),
            "generation 13: service-a blue -> green; adopted by 1 of 1 worker (1 asleep)\n");
  reply["dataplane_running"] = false;
  EXPECT_EQ(change_sentence(reply, words),
            "generation 13: service-a blue -> green; no dataplane is running\n");
  EXPECT_EQ(change_sentence(reply, {.nothing = "service-a is already there"}),
            "generation 13: nothing to change, service-a is already there\n");
  reply["dry_run"] = true;
  EXPECT_EQ(change_sentence(reply, words),
            "would flip service-a blue -> green; nothing was changed, generation 13\n");
  EXPECT_EQ(change_sentence(reply, {.nothing = "service-a is already there"}),
            "would change nothing, service-a is already there; generation 13\n");
}

TEST(ChangesText, SaysWhatIsAlikeTogether) {
  const json moves = {{{"service", "a"}, {"from", "blue"}, {"to", "green"}},
                      {{"service", "b"}, {"from", "blue"}, {"to", "green"}},
                      {{"service", "c"}, {"from", "green"}, {"to", "blue"}}};
  EXPECT_EQ(changes_text(moves, false), "a, b blue -> green, c green -> blue");
  const json forced = {
      {{"service", "a"}, {"from", "blue"}, {"to", "green"}, {"forced", {"min_capacity", "pre_flip"}}}};
  EXPECT_EQ(changes_text(forced, false), "a blue -> green, forced past min_capacity and pre_flip");
  json many = json::array();
  for (int i = 0; i < 9; ++i)
    many.push_back({{"service", "s" + std::to_string(i)}, {"from", "blue"}, {"to", "green"}});
  EXPECT_EQ(changes_text(many, false), "9 services blue -> green");
  EXPECT_EQ(changes_text({{{"service", "a"}, {"timeout_seconds", 120.0}, {"then", "reset"}}}, false),
            "a for 2m, then reset");
  EXPECT_EQ(changes_text({{{"service", "a"},
                           {"colour", "blue"},
                           {"address", "198.18.2.11:8080"},
                           {"state", {{"from", "ready"}, {"to", "maint"}}},
                           {"weight", {{"from", 5}, {"to", "file"}}}}},
                         false),
            "a/blue/198.18.2.11:8080 ready -> maint, weight 5 -> file");
  EXPECT_EQ(
      changes_text(
          {{{"kind", "backend"}, {"service", "a"}, {"address", "x:1"}, {"what", "retired"}, {"flows", 3}},
           {{"kind", "timeouts"}, {"what", "changed"}, {"detail", "at once"}}},
          false),
      "backend a/x:1 retired, timeouts at once");
  EXPECT_EQ(changes_text(json::array(), false), "");
}

}  // namespace
}  // namespace teal::cli
