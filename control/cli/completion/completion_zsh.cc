// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "control/cli/completion/completion.h"
#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

constexpr char kHead[] = R"zsh(#compdef teal
# zsh completion for teal. Made by: teal completion zsh

_teal_names() {
  local -a names
  names=(${(f)" $(teal ${teal_socket : +--socket} $teal_socket completion-- words $1 2 > / dev / null) "})
                         compadd -
                         a names
}

)zsh";

// For between [ ] in an argument of _arguments, inside single quotes.
std::string explained(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return result;
}

// What follows ":MESSAGE:" in an argument of _arguments.
std::string action(std::string_view placeholder) {
  const auto candidates = candidates_of(placeholder);
  switch (candidates.kind) {
    case Candidates::Kind::kFixed:
      return fmt::format("({})", joined(candidates.words, " "));
    case Candidates::Kind::kNames:
      return fmt::format("_teal_names {}", candidates.names);
    case Candidates::Kind::kFiles:
      return "_files";
    case Candidates::Kind::kNone:
      break;
  }
  return "";
}

std::string option_argument(const OptionSpec& option) {
  const bool flag = option.value.empty();
  const std::string value = flag ? "" : fmt::format(":{}:{}", explained(option.value), action(option.value));
  const std::string rest = fmt::format("'[{}]{}'", explained(option.help), value);
  if (option.letter == 0) return fmt::format("--{}{}{}", option.name, flag ? "" : "=", rest);
  return fmt::format("'(-{0} --{1})'{{-{0}{2},--{1}{3}}}{4}", option.letter, option.name, flag ? "" : "+",
                     flag ? "" : "=", rest);
}

std::string arguments(std::span<const OptionSpec> options, std::string_view indent) {
  std::string text;
  for (const auto& option : options) text += fmt::format(" \\\n{}  {}", indent, option_argument(option));
  return text;
}

std::string verb_arguments(const Verb& verb, std::string_view indent) {
  std::string text = fmt::format("{}_arguments", indent) + arguments(completed_options(verb), indent);
  const auto places = split(verb.positional.places, ' ');
  for (size_t i = 0; i < std::min(places.size(), verb.positional.most); ++i) {
    const bool repeats = i + 1 == places.size() && verb.positional.most > places.size();
    text += fmt::format(" \\\n{}  '{}:{}:{}'", indent, repeats ? "*" : std::to_string(i + 1),
                        explained(places[i]), action(places[i]));
  }
  return text + " ;;\n";
}

}  // namespace

std::string zsh_completion() {
  std::string words, cases;
  for (const auto& first : first_words()) {
    const auto summary = first.is_family() ? std::string("set or list them") : std::string(first.summary);
    words += fmt::format("    '{}:{}'\n", first.word, explained(summary));
    if (!first.is_family()) {
      cases += fmt::format("    {})\n", first.word) + verb_arguments(*first.verbs.front(), "      ");
      continue;
    }
    std::string seconds, of_family;
    for (const auto* verb : first.verbs) {
      seconds += fmt::format(" '{}:{}'", second_word(*verb), explained(verb->summary));
      of_family += fmt::format("        {})\n", second_word(*verb)) + verb_arguments(*verb, "          ");
    }
    cases += fmt::format(
                 "    {})\n      if (( CURRENT == 2 )); then\n        local -a seconds=({})\n"
                 "        _describe verb seconds\n        return\n      fi\n      shift words\n"
                 "      (( CURRENT-- ))\n      case $words[1] in\n",
                 first.word, seconds.substr(1)) +
             of_family + "      esac ;;\n";
  }
  std::string text(kHead);
  text += "_teal_verbs() {\n  local -a verbs=(\n" + words +
          "  )\n  _describe verb verbs\n}\n\n_teal() {\n  local curcontext=$curcontext state teal_socket\n"
          "  typeset -A opt_args\n  _arguments -C" +
          arguments(common_options(), "  ") +
          " \\\n    '--version[versions of teal and of the daemon]' \\\n    '1:verb:_teal_verbs' \\\n"
          "    '*::argument:->arguments'\n  [[ $state == arguments ]] || return\n"
          "  teal_socket=$opt_args[--socket]\n  case $words[1] in\n" +
          cases +
          "  esac\n}\n\nif [[ $funcstack[1] == _teal ]]; then\n  _teal \"$@\"\nelse\n  compdef _teal "
          "teal\nfi\n";
  return text;
}

}  // namespace teal::cli
