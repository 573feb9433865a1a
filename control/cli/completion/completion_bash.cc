// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "control/cli/completion/completion.h"
#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

// COMP_WORDS is of no use: bash splits it at colons, which addresses hold. For the same reason a reply has to
// leave out what stands before the last colon.
constexpr char kHead[] = R"bash(# bash completion for teal. Made by: teal completion bash

_teal() {
  local line=${COMP_LINE:0:COMP_POINT} words=() cur='' word verb='' place=0 option='' socket='' i
  local candidates='' names='' files=''
  read -ra words <<<"$line"
  if [[ $line != *[[:space:]] ]]; then
    cur=${words[-1]}
    unset 'words[-1]'
  fi
  for ((i = 1; i < ${#words[@]}; i++)); do
    word=${words[i]}
    if [[ -n $option ]]; then
      if [[ $option == --socket ]]; then socket=$word; fi
      option=''
    elif [[ $word == --*=* ]]; then
      if [[ $word == --socket=* ]]; then socket=${word#*=}; fi
    elif [[ $word == -* ]]; then
      if _teal_option "$verb" "$word"; then option=$word; fi
    elif [[ -z $verb ]]; then
      verb=$word
    elif _teal_family "$verb"; then
      verb="$verb $word"
    else
      place=$((place + 1))
    fi
  done
  candidates='' names='' files=''
  local before=''
  if [[ -z $option && $cur == --*=* ]]; then
    option=${cur%%=*}
    if [[ $COMP_WORDBREAKS != *=* ]]; then before="$option="; fi
    cur=${cur#*=}
  fi
  if [[ -n $option ]]; then
    _teal_option "$verb" "$option"
  elif [[ $cur == -* ]]; then
    _teal_options "$verb"
  elif [[ -z $verb ]]; then
    candidates=$_teal_verbs
  elif ! _teal_family "$verb"; then
    _teal_place "$verb" "$place"
  fi
  COMPREPLY=()
  if [[ -n $files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    return
  fi
  if [[ -n $names ]]; then
    candidates=$(teal ${socket:+--socket "$socket"} completion --words "$names" 2>/dev/null)
  fi
  mapfile -t COMPREPLY < <(compgen -W "$candidates" -P "$before" -- "$cur")
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*:}"}"}")
  fi
}

)bash";

std::string assignment(std::string_view placeholder) {
  const auto candidates = candidates_of(placeholder);
  switch (candidates.kind) {
    case Candidates::Kind::kFixed:
      return fmt::format("candidates='{}'", joined(candidates.words, " "));
    case Candidates::Kind::kNames:
      return fmt::format("names={}", candidates.names);
    case Candidates::Kind::kFiles:
      return "files=yes";
    case Candidates::Kind::kNone:
      break;
  }
  return ":";
}

std::string option_cases(std::string_view verb, std::span<const OptionSpec> options) {
  std::string text;
  for (const auto& option : options) {
    if (option.value.empty() || option.hidden) continue;
    const std::string head = verb == "*" ? std::string("*") : fmt::format("'{}'", verb);
    text += fmt::format("    {}' --{}'", head, option.name);
    if (option.letter != 0) text += fmt::format(" | {}' -{}'", head, option.letter);
    text += fmt::format(") {} ;;\n", assignment(option.value));
  }
  return text;
}

std::string dashed(std::span<const OptionSpec> options) {
  std::vector<std::string> names;
  for (const auto& option : options) names.push_back(fmt::format("--{}", option.name));
  return joined(names, " ");
}

std::string place_cases(const Verb& verb) {
  std::string text;
  const auto places = split(verb.positional.places, ' ');
  for (size_t i = 0; i < std::min(places.size(), verb.positional.most); ++i) {
    const bool repeats = i + 1 == places.size() && verb.positional.most > places.size();
    text += fmt::format("    '{} '{}) {} ;;\n", verb.name, repeats ? "*" : std::to_string(i),
                        assignment(places[i]));
  }
  return text;
}

}  // namespace

std::string bash_completion() {
  std::vector<std::string> words;
  std::string options =
      "# The option takes a value: what could it be?\n_teal_option() {\n  case \"$1 $2\" in\n";
  std::string all_options = "_teal_options() {\n  case $1 in\n";
  std::string places = "_teal_place() {\n  case \"$1 $2\" in\n";
  std::string families = "_teal_family() { [[ ' ";
  for (const auto& first : first_words()) {
    words.emplace_back(first.word);
    if (first.is_family()) families += fmt::format("{} ", first.word);
  }
  std::string seconds;
  for (const auto& verb : verbs()) {
    options += option_cases(verb.name, verb.own_options());
    all_options += fmt::format("    '{}') candidates='{}' ;;\n", verb.name, dashed(completed_options(verb)));
    places += place_cases(verb);
  }
  for (const auto& first : first_words()) {
    if (!first.is_family()) continue;
    std::vector<std::string> of_family;
    for (const auto* verb : first.verbs) of_family.emplace_back(second_word(*verb));
    seconds += fmt::format("    {}) candidates='{}' ;;\n", first.word, joined(of_family, " "));
  }
  options += option_cases("*", common_options()) + "    *) return 1 ;;\n  esac\n}\n\n";
  all_options += fmt::format("    *) candidates='{} --version' ;;\n  esac\n}}\n\n", dashed(common_options()));
  places += "  esac\n}\n\n";
  families += "' == *\" $1 \"* ]]; }\n\n";
  std::string head = kHead;
  const std::string_view hook =
      "  elif ! _teal_family \"$verb\"; then\n    _teal_place \"$verb\" \"$place\"\n";
  head.replace(head.find(hook), hook.size(),
               "  elif _teal_family \"$verb\"; then\n    case $verb in\n" + seconds +
                   "    esac\n  else\n    _teal_place \"$verb\" \"$place\"\n");
  return head + fmt::format("_teal_verbs='{}'\n\n", joined(words, " ")) + families + options + all_options +
         places + "complete -F _teal teal\n";
}

}  // namespace teal::cli
