// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a JSON body or of a query, and refuses what it does not know: a field that is spelt
// wrong must not be ignored.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <tl/expected.hpp>

#include "control/api/request.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

class BodyFields {
 public:
  // The error: no JSON object, or it has a field that is not in `known`.
  static tl::expected<BodyFields, Refusal> parse(const std::string& body,
                                                 std::initializer_list<std::string_view> known);

  // Nothing if the field is missing.
  std::optional<std::string> text(const char* name);
  std::optional<std::vector<std::string>> texts(const char* name);
  std::optional<uint64_t> number(const char* name);

  // The first field that had another type than asked for.
  const std::optional<Refusal>& error() const { return error_; }

 private:
  const nlohmann::json* find(const char* name) const;
  void expected(const char* name, const char* what);

  nlohmann::json object_;
  std::optional<Refusal> error_;
};

// The query with its names checked; each may be given once.
tl::expected<void, Refusal> check_query(const Request& request,
                                        std::initializer_list<std::string_view> known);
std::optional<std::string> query_value(const Request& request, std::string_view name);

tl::expected<Colour, Refusal> parse_colour(const std::string& field, const std::string& text);

}  // namespace teal
