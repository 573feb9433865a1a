// SPDX-License-Identifier: Apache-2.0
#include "control/state/object_reader.h"

namespace teal {

namespace {

// Only scalars are shown: to print a nested value takes stack for each level of a damaged text.
std::string shown(const nlohmann::ordered_json& value) {
  constexpr size_t kShownBytes = 40;
  if (value.is_array()) return fmt::format("an array of {}", value.size());
  if (value.is_object()) return "an object";
  const std::string text = value.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  return text.size() <= kShownBytes ? text : text.substr(0, kShownBytes) + "...";
}

}  // namespace

std::vector<int64_t> ObjectReader::rising(const char* field, size_t at_least, size_t at_most, int64_t least,
                                          int64_t most) {
  std::vector<int64_t> values;
  const nlohmann::ordered_json& list = find(field);
  bool fits = list.is_array() && list.size() >= at_least && list.size() <= at_most;
  for (size_t i = 0; fits && i < list.size(); ++i) {
    fits = list[i].is_number_unsigned() && list[i].get<uint64_t>() <= static_cast<uint64_t>(most);
    if (!fits) break;
    values.push_back(list[i].get<int64_t>());
    fits = values.back() >= (i == 0 ? least : values[i - 1] + 1);
  }
  if (fits) return values;
  refuse(
      field, list,
      fmt::format("an array of {} to {} integers from {} to {} that rise", at_least, at_most, least, most));
  return {};
}

void ObjectReader::refuse(const char* field, const nlohmann::ordered_json& value,
                          const std::string& expected) {
  if (!fine()) return;
  const std::string where = path(field);
  error_ = fmt::format("{}{}, expected {}", where.empty() ? "it" : where,
                       value.is_discarded() ? " is missing" : " is " + shown(value), expected);
}

}  // namespace teal
