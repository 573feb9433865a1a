// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a JSON body or of a query. Unknown fields are refused, so that a misspelt field is not
// ignored.
#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/api/http/request.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

class BodyFields {
 public:
  // Fails if the body is not a JSON object or has a field that is not in `known`. An empty body is an empty
  // object.
  static tl::expected<BodyFields, Refusal> parse(const std::string& body,
                                                 std::span<const std::string_view> known);

  // Return nullopt if the field is missing or has another type. The latter is an error.
  std::optional<std::string> text(const char* name);
  std::optional<std::vector<std::string>> texts(const char* name, size_t least = 1);  // 0 or 1 of them
  std::optional<uint64_t> number(const char* name);
  std::optional<bool> flag(const char* name);
  // A text such as "30s"; one outside of these bounds is an error, too.
  std::optional<std::chrono::milliseconds> duration(const char* name, std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most);
  bool is_text(const char* name) const;
  // The body as JSON without these fields. Bodies with the same fields have the same text.
  std::string text_without(std::initializer_list<const char*> names) const;

  // Returns the index of the field's value in `values`; nullopt if the field is missing. Another value is an
  // error.
  std::optional<size_t> one_of(const char* name, std::span<const char* const> values);

  // Reports a field whose value the caller cannot use.
  void refuse(const char* name, const std::string& expected);
  // Reports a field; `problem` says what is wrong, and what was expected: "has 3 steps, expected ...".
  void report(const char* name, const std::string& problem);
  // Reports a field that is missing.
  void require(const char* name, const std::string& expected);

  // The first error that was reported.
  const std::optional<Refusal>& error() const { return error_; }

 private:
  const nlohmann::json* find(const char* name) const;

  nlohmann::json object_;
  std::optional<Refusal> error_;
};

// Checks that the query has only parameters of `known`, each at most once.
tl::expected<void, Refusal> check_query(const Request& request, std::span<const std::string_view> known);
std::optional<std::string> query_value(const Request& request, std::string_view name);
// Reads a number from `least` to `most`. Returns nullopt if the query lacks it.
tl::expected<std::optional<uint64_t>, Refusal> query_number(const Request& request, std::string_view name,
                                                            uint64_t least, uint64_t most);
Refusal bad_parameter(std::string_view name, const std::string& value, std::string_view expected);

tl::expected<Colour, Refusal> parse_colour(const std::string& field, const std::string& text);

}  // namespace teal
