// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/config_reader.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsUnitsFromLargeToSmall) {
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  EXPECT_EQ(parse_duration("30s"), milliseconds(30'000));
  EXPECT_EQ(parse_duration("5m"), milliseconds(300'000));
  EXPECT_EQ(parse_duration("2h4m"), milliseconds(7'440'000));
  EXPECT_EQ(parse_duration("1m30s"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("1h2m3s4ms"), milliseconds(3'723'004));
  EXPECT_EQ(parse_duration("0s"), milliseconds(0));
  EXPECT_EQ(parse_duration("90m"), milliseconds(5'400'000));
}

TEST(Duration, RefusesOtherText) {
  for (const char* text :
       {"",     "s",    "30",    "-1s",  "+1s",  "1.5s",  " 1s",    "1s ",        "1 s",
        "1d",   "1S",   "30s5m", "1s1s", "1s30", "1ms1s", "10001h", "9999h60m1s", "99999999999999999999s",
        "1hms", "\x01s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, TextRoundTrips) {
  for (const char* text : {"250ms", "30s", "5m", "2h4m", "1m30s", "1h2m3s4ms", "0s", "168h"}) {
    EXPECT_EQ(duration_text(*parse_duration(text)), text);
  }
}

TEST(InQuotes, EscapesAndCuts) {
  EXPECT_EQ(in_quotes("a\"b\\c\n\x1b[31m"), "\"a\\\"b\\c\\x0a\\x1b[31m\"");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "\"" + std::string(80, 'x') + "\"...");
}

TEST(ConfigDocument, PlacesErrorsOfValuesOverSeveralLines) {
  const auto document = ConfigDocument::parse("a = [\n  1,\n  \"x\",\n]\n[t]\nb.c = true\n", "f.toml");
  ASSERT_TRUE(document);
  const auto elements = document->root().find("a")->elements("an array");
  ASSERT_TRUE(elements);
  document->root().find("t")->find("b")->find("c")->error("is last");
  (*elements)[1].error("is first");
  EXPECT_EQ(document->errors(),
            (ConfigDocument::Errors{"f.toml:3: a[1]: is first", "f.toml:6: t.b.c: is last"}));
}

TEST(ConfigDocument, RefusesBinaryData) {
  for (const std::string& text :
       {std::string("a = \"\xff\xfe\""), std::string("\0\0\0", 3), std::string("\x7f")}) {
    const auto document = ConfigDocument::parse(text, "f.toml");
    ASSERT_FALSE(document);
    EXPECT_EQ(document.error()[0].find("f.toml:1: TOML syntax: "), 0u) << document.error()[0];
  }
}

// Found by fuzz_config: toml++ quotes the text of the file unescaped.
TEST(ConfigDocument, ReportsASyntaxErrorInOneLine) {
  const auto document = ConfigDocument::parse("a = [1, f\n]", "f.toml");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error()[0],
            "f.toml:1: TOML syntax: Error while parsing boolean: expected 'false', saw 'f\\x0a', in the line "
            "\"a = [1, f\"");
}

// With these texts, toml++ 3.3 violates one of its own preconditions (fixed upstream by its pull request
// 301). The packaged library returns an error all the same.
TEST(ConfigDocument, RefusesHeadersThatBreakTheParser) {
  for (const char* text : {"[[[1]]]", "[[[a]]]", "[[[]]", "[[=", "[[[service]]\n"}) {
    const auto document = ConfigDocument::parse(text, "f.toml");
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error()[0].find("f.toml:1: TOML syntax: "), 0u) << document.error()[0];
  }
}

TEST(ConfigDocument, RefusesAnEndlessFile) {
  const auto document = ConfigDocument::read("/dev/zero");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error()[0], "/dev/zero: cannot be read: it is larger than 16 MiB, expected a TOML file");
}

}  // namespace
}  // namespace teal
