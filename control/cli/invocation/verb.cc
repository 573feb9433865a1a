// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/verb.h"

#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"

namespace teal::cli {

std::vector<OptionSpec> Verb::own_options() const {
  std::vector<OptionSpec> all(options.begin(), options.end());
  if (changes) all.insert(all.end(), change_options().begin(), change_options().end());
  return all;
}

// Bytes that are not UTF-8 are replaced; dump() would throw.
void Invocation::print(const nlohmann::json& document) const {
  around.out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void Invocation::print_line(const nlohmann::json& document) const {
  around.out << document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n' << std::flush;
}

}  // namespace teal::cli
