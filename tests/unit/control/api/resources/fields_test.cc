// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/fields.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

std::string refusal_of(const std::string& body) {
  static constexpr std::string_view kKnown[] = {"to", "services", "if_generation", "dry_run", "then"};
  static constexpr const char* kThen[] = {"wait", "reset", "stop"};
  auto fields = BodyFields::parse(body, kKnown);
  if (!fields) return fields.error().message;
  (void)fields->text("to");
  (void)fields->texts("services");
  (void)fields->number("if_generation");
  (void)fields->flag("dry_run");
  (void)fields->one_of("then", kThen);
  return fields->error() ? fields->error()->message : "";
}

TEST(BodyFields, RefuseUnknownFieldsAndOtherTypes) {
  EXPECT_EQ(refusal_of(R"({"to":"green","services":["a"],"if_generation":3})"), "");
  EXPECT_EQ(refusal_of(R"({})"), "");
  EXPECT_EQ(refusal_of(R"({"to":null})"), "");
  EXPECT_EQ(refusal_of(R"({"too":"green","speed":1})"), "unknown field \"speed\", \"too\"");
  EXPECT_EQ(refusal_of(R"(["to"])"), "the body is a JSON array, expected an object");
  EXPECT_EQ(refusal_of(""), "") << "no body is an empty object";
  EXPECT_EQ(refusal_of(" "), "the body is not valid JSON at byte 2");
  EXPECT_EQ(refusal_of(std::string(60'000, '[')), "the body is not valid JSON at byte 60001");
  EXPECT_EQ(refusal_of(R"({"dry_run":1})"), "field \"dry_run\": expected true or false, got 1");
  EXPECT_EQ(refusal_of(R"({"then":"reset"})"), "");
  EXPECT_EQ(refusal_of(R"({"then":"rest"})"),
            "field \"then\": expected \"wait\", \"reset\" or \"stop\", got \"rest\"");
  EXPECT_EQ(refusal_of("{\"to\":\"gr\xff\"}"), "the body is not valid JSON at byte 10");
  EXPECT_EQ(refusal_of(R"({"to":1})"), "field \"to\": expected a string, got 1");
  EXPECT_EQ(refusal_of(R"({"services":"a"})"),
            "field \"services\": expected a list of one or more strings, got \"a\"");
  EXPECT_EQ(refusal_of(R"({"services":[]})"),
            "field \"services\": expected a list of one or more strings, got []");
  EXPECT_EQ(refusal_of(R"({"services":["a",1]})"),
            "field \"services\": expected a list of one or more strings, got [\"a\",1]");
  EXPECT_EQ(refusal_of(R"({"if_generation":-1})"),
            "field \"if_generation\": expected an integer of 0 or more, got -1");
  EXPECT_EQ(refusal_of(R"({"if_generation":1e999})"), "the body has a number out of range");
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

TEST(RequestTarget, RefusesInvalidOnes) {
  for (const char* target : {"", "v1", "*", "/%", "/%4", "/%zz", "/a?b=%f"}) {
    Request request;
    EXPECT_FALSE(parse_request_target(target, request)) << target;
  }
}

TEST(RequestTarget, AStarIsValidForOptions) {
  Request request;
  request.method = "OPTIONS";
  EXPECT_TRUE(parse_request_target("*", request));
  EXPECT_EQ(request.path, "*");
}

TEST(Query, RefusesUnknownAndRepeatedNames) {
  static constexpr std::string_view kBoth[] = {"limit", "colour"};
  Request request;
  request.query = {{"limit", "1"}, {"colour", "blue"}};
  EXPECT_TRUE(check_query(request, kBoth));
  EXPECT_FALSE(check_query(request, std::span(kBoth).first(1)));
  EXPECT_FALSE(check_query(request, {}));
  request.query.emplace_back("limit", "2");
  EXPECT_FALSE(check_query(request, kBoth));
}

TEST(Query, NumbersHaveARange) {
  const auto number = [](const std::string& text) {
    Request request;
    request.query = {{"limit", text}};
    return query_number(request, "limit", 1, 100);
  };
  EXPECT_EQ(number("1").value(), 1u);
  EXPECT_EQ(number("100").value(), 100u);
  for (const char* text : {"", "0", "101", "-1", "1.0", "1x", " 1", "0x10", "99999999999999999999"})
    EXPECT_FALSE(number(text)) << text;
  EXPECT_FALSE(query_number(Request(), "limit", 1, 100).value().has_value());
  EXPECT_EQ(number("x").error().message, "parameter \"limit\": expected an integer from 1 to 100, got \"x\"");
}

// DNS rebinding: the domain name of a web page resolves to 127.0.0.1.
TEST(HostHeader, OnlyLoopbackNamesAreAccepted) {
  for (const char* host : {"localhost", "localhost:9100", "LocalHost", "127.0.0.1", "127.0.0.1:9100",
                           "127.9.9.9:1", "[::1]", "[::1]:9100"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"", ":", "evil.example", "evil.example:9100", "localhost.evil.example",
                           "127.0.0.1.evil.example", "198.18.0.1", "::1", "[127.0.0.1]", "[fd18::1]:9100",
                           "localhost:", "localhost:x", "[::1", "0.0.0.0:9100", "localhost:9100:1"})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

TEST(BodyFields, RefuseDeepBodies) {
  const std::vector<std::string_view> known = {"reason", "request_id"};
  const std::string deep =
      R"({"request_id":"a","reason":)" + std::string(60'000, '[') + std::string(60'000, ']') + "}";
  const auto refused = BodyFields::parse(deep, known);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the body has values in more than 8 levels");
}

}  // namespace
}  // namespace teal
