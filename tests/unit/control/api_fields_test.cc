// SPDX-License-Identifier: Apache-2.0
#include "control/api/fields.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

std::string refusal_of(const std::string& body) {
  auto fields = BodyFields::parse(body, {"to", "services", "if_generation"});
  if (!fields) return fields.error().message;
  (void)fields->text("to");
  (void)fields->texts("services");
  (void)fields->number("if_generation");
  return fields->error() ? fields->error()->message : "";
}

TEST(BodyFields, RefuseWhatTheyDoNotKnow) {
  EXPECT_EQ(refusal_of(R"({"to":"green","services":["a"],"if_generation":3})"), "");
  EXPECT_EQ(refusal_of(R"({})"), "");
  EXPECT_EQ(refusal_of(R"({"to":null})"), "");
  EXPECT_EQ(refusal_of(R"({"too":"green","speed":1})"), "unknown field \"speed\", \"too\"");
  EXPECT_EQ(refusal_of(R"(["to"])"), "the body is a JSON array, an object was expected");
  EXPECT_EQ(refusal_of(""), "the body is no JSON: at byte 1");
  EXPECT_EQ(refusal_of("{\"to\":\"gr\xff\"}"), "the body is no JSON: at byte 10");
  EXPECT_EQ(refusal_of(R"({"to":1})"), "field \"to\": expected a string, got 1");
  EXPECT_EQ(refusal_of(R"({"services":"a"})"),
            "field \"services\": expected a list of one or more strings, got \"a\"");
  EXPECT_EQ(refusal_of(R"({"services":[]})"),
            "field \"services\": expected a list of one or more strings, got []");
  EXPECT_EQ(refusal_of(R"({"services":["a",1]})"),
            "field \"services\": expected a list of one or more strings, got [\"a\",1]");
  EXPECT_EQ(refusal_of(R"({"if_generation":-1})"),
            "field \"if_generation\": expected an integer, 0 or above, got -1");
  EXPECT_EQ(refusal_of(R"({"if_generation":1e999})"), "the body has a number that is out of range");
}

TEST(RequestTarget, IsSplitAndDecoded) {
  Request request;
  ASSERT_TRUE(parse_request_target("/v1/flows?backend=%5Bfd18%3A%3A1%5D%3A80&client=a+b&limit", request));
  EXPECT_EQ(request.path, "/v1/flows");
  ASSERT_EQ(request.query.size(), 3u);
  EXPECT_EQ(request.query[0].second, "[fd18::1]:80");
  EXPECT_EQ(request.query[1].second, "a b");
  EXPECT_EQ(request.query[2].second, "");
}

TEST(RequestTarget, RefusesBrokenOnes) {
  for (const char* target : {"", "v1", "*", "/%", "/%4", "/%zz", "/a?b=%f"}) {
    Request request;
    EXPECT_FALSE(parse_request_target(target, request)) << target;
  }
}

TEST(Query, KnowsItsNamesAndTakesThemOnce) {
  Request request;
  request.query = {{"limit", "1"}, {"colour", "blue"}};
  EXPECT_TRUE(check_query(request, {"limit", "colour"}));
  EXPECT_FALSE(check_query(request, {"limit"}));
  request.query.emplace_back("limit", "2");
  EXPECT_FALSE(check_query(request, {"limit", "colour"}));
}

}  // namespace
}  // namespace teal
