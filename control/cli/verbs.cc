// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/nearest.h"
#include "control/cli/verb.h"

namespace teal::cli {
namespace {

constexpr size_t kAny = std::numeric_limits<size_t>::max();
constexpr std::chrono::seconds kDefaultTimeout(10);

constexpr OptionSpec kStatusOptions[] = {
    {'w', "watch", "", "print again and again, until interrupted"},
    {0, "interval", "TIME", "how often with --watch (1s)"},
};
constexpr OptionSpec kFlipOptions[] = {
    {'t', "to", "COLOUR", "blue or green: what new flows follow from now on"},
    {'g', "group", "GROUP", "all services of the group, instead of names"},
    {0, "if-generation", "N", "only if the generation is still N, else exit code 5"},
    {'r', "reason", "TEXT", "kept in the history"},
};
constexpr std::span<const OptionSpec> kRollbackOptions = std::span(kFlipOptions).subspan(1);
constexpr OptionSpec kFlowsOptions[] = {
    {'s', "service", "NAME", "only flows of this service"},
    {0, "colour", "COLOUR", "only flows that were chosen as blue or green"},
    {'b', "backend", "SOCKET", "only flows on this backend, as 198.18.2.11:8080"},
    {'c', "client", "ADDRESS", "only flows of this client, with or without :PORT"},
    {'n', "limit", "N", "how many to show at most (100)"},
};
constexpr OptionSpec kStatsOptions[] = {
    {'a', "all", "", "counters that are zero, too"},
};

constexpr std::array<Verb, 9> kVerbs = {{
    {"list", "", "services, their VIPs, active colours and groups", {}, {}, run_list},
    {"status",
     "[SERVICE...] [--watch [--interval TIME]]",
     "flows by colour and backend, and what drains",
     kStatusOptions,
     {0, kAny, "SERVICE"},
     run_status},
    {"flip",
     "SERVICE... | --group GROUP  --to COLOUR",
     "new flows follow the other colour; old ones stay",
     kFlipOptions,
     {0, kAny, "SERVICE"},
     run_flip},
    {"rollback",
     "SERVICE... | --group GROUP",
     "return to the target before the latest flip",
     kRollbackOptions,
     {0, kAny, "SERVICE"},
     run_rollback},
    {"flows", "[--service NAME] [--colour COLOUR] ...", "the flows themselves", kFlowsOptions, {}, run_flows},
    {"stats", "[--all]", "counters with their meaning, by worker too", kStatsOptions, {}, run_stats},
    {"check",
     "[FILE]",
     "check a config file (/etc/teal/teal.toml); needs no daemon",
     {},
     {0, 1, "FILE"},
     run_check},
    {"version", "", "versions of teal and of the daemon", {}, {}, run_version},
    {"help", "[VERB]", "this text, or a verb's", {}, {0, 1, "VERB"}, run_help},
}};

tl::expected<const Verb*, Failure> verb_named(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& verb : kVerbs) {
    if (verb.name == name) return &verb;
    names.push_back(verb.name);
  }
  return tl::unexpected(
      usage_failure(fmt::format("unknown verb \"{}\"", name), nearest_hint(name, names, "teal help")));
}

Outcome print_help(const Invocation& call, const std::string& text) {
  if (call.json) {
    call.print({{"help", text}});
  } else {
    call.around.out << text;
  }
  return {};
}

Outcome run_verb(const Verb& verb, std::span<const std::string> words, Surroundings& around) {
  const auto arguments = parse_arguments(verb.name, words, verb.options, verb.positional);
  if (!arguments) return tl::unexpected(arguments.error());
  const auto timeout = arguments->duration("timeout");
  if (!timeout) return tl::unexpected(timeout.error());

  const Client daemon(arguments->value("socket").value_or(around.socket), timeout->value_or(kDefaultTimeout));
  const Invocation call{*arguments, daemon, around, arguments->value("output") == "json"};
  if (arguments->has("help")) return print_help(call, help_text(verb));
  return verb.run(call);
}

Outcome dispatch(std::span<const std::string> words, Surroundings& around) {
  const auto place = find_verb(words);
  if (!place) return tl::unexpected(place.error());
  std::vector<std::string> rest(words.begin(), words.end());
  std::string name;
  if (*place < words.size()) {
    name = words[*place];
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(*place));
  } else {  // options alone: --version, --help
    for (const auto& word : words) {
      if (word == "--help" || word == "-h") name = "help";
      if (word == "--version") name = "version";
    }
    if (name.empty()) return tl::unexpected(usage_failure("a verb is missing", "teal help"));
    std::erase_if(rest,
                  [](const auto& word) { return word == "--help" || word == "-h" || word == "--version"; });
  }
  const auto verb = verb_named(name);
  if (!verb) return tl::unexpected(verb.error());
  return run_verb(**verb, rest, around);
}

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

void Invocation::print(const nlohmann::json& document) const {
  // Text of the daemon that is no UTF-8 is shown with replacements rather than thrown about.
  around.out << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

std::string help_text() {
  std::string text = "usage: teal [--socket PATH] [-o json|table] VERB ...\n\nverbs:\n";
  for (const auto& verb : kVerbs) text += fmt::format("  {:<10} {}\n", verb.name, verb.summary);
  text += "\noptions of every verb:\n" + describe_options(common_options());
  text +=
      "\nexit codes: 0 done, 1 error, 2 usage, 3 refused, 4 published but not adopted in\n"
      "time (not undone), 5 conflict, 6 rolled back, 7 daemon unreachable\n"
      "\nTEAL_SOCKET is the socket where --socket is not given; NO_COLOR: no colours.\n"
      "teal VERB --help says more about a verb.\n";
  return text;
}

std::string help_text(const Verb& verb) {
  std::string text = fmt::format("usage: teal {}{}{}\n\n{}\n", verb.name, verb.usage.empty() ? "" : " ",
                                 verb.usage, verb.summary);
  if (!verb.options.empty()) text += "\noptions:\n" + describe_options(verb.options);
  return text + "\noptions of every verb:\n" + describe_options(common_options());
}

Outcome run_help(const Invocation& call) {
  if (call.arguments.positional.empty()) return print_help(call, help_text());
  const auto verb = verb_named(call.arguments.positional.front());
  if (!verb) return tl::unexpected(verb.error());
  return print_help(call, help_text(**verb));
}

int run(std::span<const std::string> words, Surroundings& around) {
  Outcome outcome;
  try {
    outcome = dispatch(words, around);
  } catch (const nlohmann::json::exception& error) {
    outcome = tl::unexpected(
        Failure{.code = "bad_answer",
                .message = fmt::format("the daemon's answer is not of the expected form: {}", error.what()),
                .hint = "teal version (do the versions of teal and teald agree?)"});
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
