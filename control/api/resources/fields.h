// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a JSON body or of a query, and refuses what it does not know: a field that is spelt
// wrong must not be ignored.
#pragma once

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
  // The error: no JSON object, or it has a field that is not in `known`. No body at all is an empty object.
  static tl::expected<BodyFields, Refusal> parse(const std::string& body,
                                                 std::span<const std::string_view> known);

  // Nothing if the field is missing.
  std::optional<std::string> text(const char* name);
  std::optional<std::vector<std::string>> texts(const char* name);
  std::optional<uint64_t> number(const char* name);
  std::optional<bool> flag(const char* name);
  bool is_text(const char* name) const;

  // Missing, or not one of `values`: an error, or (missing and not required) nothing.
  std::optional<size_t> one_of(const char* name, std::span<const char* const> values);

  // A field that has no use as it is: for what reads a value further.
  void refuse(const char* name, const std::string& what_was_expected);
  void require(const char* name, const std::string& what_was_expected);

  // The first field that was wrong.
  const std::optional<Refusal>& error() const { return error_; }

 private:
  const nlohmann::json* find(const char* name) const;

  nlohmann::json object_;
  std::optional<Refusal> error_;
};

// The query with its names checked; each may be given once.
tl::expected<void, Refusal> check_query(const Request& request, std::span<const std::string_view> known);
std::optional<std::string> query_value(const Request& request, std::string_view name);
// A number of a query, in a range. Nothing: it is not given.
tl::expected<std::optional<uint64_t>, Refusal> query_number(const Request& request, std::string_view name,
                                                            uint64_t least, uint64_t most);
Refusal bad_parameter(std::string_view name, const std::string& value, std::string_view expected);

tl::expected<Colour, Refusal> parse_colour(const std::string& field, const std::string& text);

}  // namespace teal
