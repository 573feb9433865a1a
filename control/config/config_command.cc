// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_command.h"

namespace teal {

std::vector<std::string> read_command(const ConfigNode& node) {
  std::vector<std::string> command;
  const auto elements = node.elements(kCommandForm);
  if (!elements) return command;
  size_t bytes = 0;
  for (const ConfigNode& element : *elements) {
    auto word = element.text("a string");
    if (!word) return command;
    if (word->find('\0') != std::string::npos) {
      element.error("has a NUL character, expected a word that a program can get");
      return command;
    }
    bytes += word->size();
    command.push_back(std::move(*word));
  }
  if (command.empty() || !command.front().starts_with('/')) {
    node.error((command.empty() ? "is empty" : "begins with " + in_quotes(command.front())) + ", expected " +
               kCommandForm);
  } else if (command.size() > kMaxCommandWords || bytes > kMaxCommandBytes) {
    node.error("has " + std::to_string(command.size()) + " words of " + std::to_string(bytes) +
               " bytes, expected at most " + std::to_string(kMaxCommandWords) + " words of " +
               std::to_string(kMaxCommandBytes) + " bytes in all");
  }
  return command;
}

}  // namespace teal
