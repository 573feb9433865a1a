// SPDX-License-Identifier: Apache-2.0
#include "control/cli/completion/completion.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/completion/offers.h"
#include "control/cli/completion/scripts.h"  // made by meson from the files of the scripts
#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kScripts = {
    {{"bash", kBashScript}, {"zsh", kZshScript}, {"fish", kFishScript}}};

}  // namespace

Outcome run_completion(const Invocation& call) {
  const auto& words = call.arguments.positional;
  if (call.arguments.has("offer")) {
    const auto offers = offers_for(words, call);
    if (offers.files) call.around.out << ":files\n";
    for (const auto& [word, description] : offers.words)
      call.around.out << word << (description.empty() ? "" : "\t") << description << '\n';
    return {};
  }
  if (words.empty()) {
    return tl::unexpected(usage_failure("teal completion needs a shell: bash, zsh or fish",
                                        "in bash: source <(teal completion bash)"));
  }
  if (words.size() > 1) {
    return tl::unexpected(usage_failure(fmt::format("teal completion: unexpected argument \"{}\"", words[1]),
                                        "teal completion --help"));
  }
  const auto script =
      std::find_if(kScripts.begin(), kScripts.end(), [&](const auto& row) { return row.first == words[0]; });
  if (script == kScripts.end()) {
    return tl::unexpected(usage_failure(fmt::format("teal completion: unknown shell \"{}\"", words[0]),
                                        "the shells are bash, zsh and fish"));
  }
  if (call.json) {
    call.print({{"shell", script->first}, {"script", script->second}});
  } else {
    call.around.out << script->second;
  }
  return {};
}

}  // namespace teal::cli
