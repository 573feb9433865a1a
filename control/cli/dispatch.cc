// SPDX-License-Identifier: Apache-2.0
#include "control/cli/dispatch.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/help.h"
#include "control/cli/invocation/answer.h"
#include "control/cli/verb_table.h"
#include "control/config/hooks.h"

namespace teal::cli {
namespace {

constexpr std::chrono::seconds kDefaultTimeout(10);

bool has_option(const Verb& verb, std::string_view name) {
  return std::any_of(verb.options.begin(), verb.options.end(),
                     [&](const OptionSpec& option) { return option.name == name; });
}

// A verb that waits, or that sets a timeout, uses --timeout itself. Then the daemon's answer has the default
// timeout.
bool owns_timeout(const Verb& verb, bool waits) {
  return has_option(verb, "timeout") && (waits || !has_option(verb, "wait"));
}

// teald answers when the hook pre_flip has ended.
bool waits_for_hooks(const Verb& verb) {
  return verb.name == "flip" || verb.name == "ramp";
}
// A group may have hooks that take turns.
constexpr std::chrono::milliseconds kLongestHook = kMaxHookTimeout + std::chrono::minutes(1);

bool is_family(std::string_view word) {  // "backend", for "backend set"
  const auto all = verbs();
  return std::any_of(all.begin(), all.end(), [&](const Verb& verb) {
    return verb.name.size() > word.size() && verb.name.starts_with(word) && verb.name[word.size()] == ' ';
  });
}

Outcome run_verb(const Verb& verb, std::span<const std::string> words, Surroundings& around) {
  const auto options = verb.own_options();
  const auto arguments = parse_arguments(verb.name, words, options, verb.positional);
  if (!arguments) return tl::unexpected(arguments.error());
  std::chrono::milliseconds timeout = kDefaultTimeout;
  if (!owns_timeout(verb, arguments->has("wait"))) {
    const auto given = arguments->duration("timeout");
    if (!given) return tl::unexpected(given.error());
    timeout = given->value_or(kDefaultTimeout);
  }
  Client daemon(arguments->value("socket").value_or(around.socket), timeout);
  daemon.set_login_uid(around.login_uid);
  if (waits_for_hooks(verb) && timeout == kDefaultTimeout)
    daemon.be_patient(kLongestHook, [&] {
      around.err << "teal: teald runs the hook pre_flip before the change\n" << std::flush;
    });
  const Invocation call{verb, verbs(), *arguments, daemon, around, arguments->value("output") == "json"};
  if (arguments->has("help")) return print_help(call, help_text(verb));
  return verb.run(call);
}

// Removes the verb's second word from `words` and returns it.
tl::expected<std::string, Failure> second_word(const std::string& first, std::vector<std::string>& words) {
  const auto verb_at = find_verb(words);
  if (!verb_at) return tl::unexpected(verb_at.error());
  if (*verb_at == words.size()) {
    std::vector<std::string> seconds;
    for (const auto& verb : verbs()) {
      if (verb.name.starts_with(first + " ")) seconds.emplace_back(verb.name.substr(first.size() + 1));
    }
    return tl::unexpected(
        usage_failure(fmt::format("teal {} needs a command: {}", first, joined(seconds, " or ")),
                      fmt::format("teal help {}", first)));
  }
  const std::string word = words[*verb_at];
  words.erase(words.begin() + static_cast<std::ptrdiff_t>(*verb_at));
  return word;
}

Outcome dispatch(std::span<const std::string> words, Surroundings& around) {
  const auto verb_at = find_verb(words);
  if (!verb_at) return tl::unexpected(verb_at.error());
  std::vector<std::string> rest(words.begin(), words.end());
  std::string name;
  if (*verb_at < words.size()) {
    name = words[*verb_at];
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(*verb_at));
  } else {  // only options, such as --version and --help
    for (const auto& word : words) {
      if (word == "--help" || word == "-h") name = "help";
      if (word == "--version") name = "version";
    }
    if (name.empty()) return tl::unexpected(usage_failure("a verb is missing", "teal help lists the verbs"));
    std::erase_if(rest,
                  [](const auto& word) { return word == "--help" || word == "-h" || word == "--version"; });
  }
  if (is_family(name)) {
    if (std::find(rest.begin(), rest.end(), "--help") != rest.end() && find_verb(rest) == rest.size()) {
      around.out << help_of_family(name);
      return {};
    }
    const auto second = second_word(name, rest);
    if (!second) return tl::unexpected(second.error());
    name += " " + *second;
  }
  const auto verb = verb_named(name);
  if (!verb) return tl::unexpected(verb.error());
  // Before the verb, --timeout limits the wait for the daemon's answer. These verbs have another --timeout.
  const auto before = words.subspan(0, std::min(*verb_at, words.size()));
  if (owns_timeout(**verb, false) && std::any_of(before.begin(), before.end(), [](const auto& word) {
        return word == "--timeout" || word.starts_with("--timeout=");
      })) {
    return tl::unexpected(
        usage_failure(fmt::format("--timeout is before \"{}\", which has its own --timeout", name),
                      fmt::format("put --timeout after the verb; teal {} --help describes it", name)));
  }
  return run_verb(**verb, rest, around);
}

}  // namespace

int run(std::span<const std::string> words, Surroundings& around) {
  Outcome outcome;
  try {
    outcome = dispatch(words, around);
  } catch (const nlohmann::json::exception& error) {
    outcome = tl::unexpected(Failure{
        .code = "bad_answer",
        .message = fmt::format("the answer of teald has another format than expected: {}", error.what()),
        .hint = "compare the versions of teal and teald: teal version"});
  }
  if (outcome) return kDone;
  const Failure& failure = outcome.error();
  if (wants_json(words)) {
    around.out << to_json(failure).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    print_failure(failure, around.err);
  }
  return failure.exit_code;
}

}  // namespace teal::cli
