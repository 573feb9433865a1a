// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_name.h"

#include <algorithm>

namespace teal {

bool is_config_name(std::string_view text) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), allowed);
}

std::string read_name(const ConfigNode& table, std::string_view kind, FirstLines& first_lines) {
  const auto node = table.require("name", kConfigNameForm);
  if (!node) return "";
  const auto name = node->text(kConfigNameForm);
  if (!name) return "";
  if (!is_config_name(*name))
    node->error(in_quotes(*name) + " is not a valid name, expected " + kConfigNameForm);
  const auto [first, is_new] = first_lines.emplace(*name, node->line());
  if (!is_new) {
    node->error(in_quotes(*name) + " is also the name of the " + std::string(kind) + " in line " +
                std::to_string(first->second) + ", expected a different name for each " + std::string(kind));
  }
  return *name;
}

}  // namespace teal
