// SPDX-License-Identifier: Apache-2.0
#include <set>

#include <fmt/format.h>

#include "control/cli/completion/completion.h"
#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

constexpr char kHead[] = R"fish(# fish completion for teal. Made by: teal completion fish

function __teal_names
    teal completion --words $argv[1] 2>/dev/null
end

# The words behind teal that are neither options nor their values.
function __teal_words
    set -l tokens (commandline -opc)
    set -e tokens[1]
    set -l is_value no
    for token in $tokens
        if test $is_value = yes
            set is_value no
            continue
        end
        switch $token
            case '--*=*'
            case @VALUED@
                set is_value yes
            case '-*'
            case '*'
                echo $token
        end
    end
end

# __teal_at VERB [PLACE]: is this the verb, and are so many arguments given behind it?
function __teal_at
    set -l words (__teal_words)
    set -l verb (string split ' ' -- $argv[1])
    set -l length (count $verb)
    test (count $words) -ge $length; or return 1
    test "$words[1..$length]" = "$verb"; or return 1
    test (count $argv) -lt 2; or test (math (count $words) - $length) -eq $argv[2]
end

function __teal_no_verb
    test (count (__teal_words)) -eq 0
end

complete -c teal -f
)fish";

std::string candidates_argument(std::string_view placeholder) {
  const auto candidates = candidates_of(placeholder);
  switch (candidates.kind) {
    case Candidates::Kind::kFixed:
      return fmt::format(" -a '{}'", joined(candidates.words, " "));
    case Candidates::Kind::kNames:
      return fmt::format(" -a '(__teal_names {})'", candidates.names);
    case Candidates::Kind::kFiles:
      return " -F";
    case Candidates::Kind::kNone:
      break;
  }
  return "";
}

std::string option_line(std::string_view condition, const OptionSpec& option) {
  std::string line = "complete -c teal";
  if (!condition.empty()) line += fmt::format(" -n {}", shell_quoted(condition));
  if (option.letter != 0) line += fmt::format(" -s {}", option.letter);
  line += fmt::format(" -l {}", option.name);
  if (!option.value.empty())
    line += candidates_of(option.value).kind == Candidates::Kind::kFiles
                ? " -r -F"
                : " -x" + candidates_argument(option.value);
  return line + fmt::format(" -d {}\n", shell_quoted(option.help));
}

std::string word_line(std::string_view condition, std::string_view word, std::string_view summary) {
  return fmt::format("complete -c teal -n {} -a {} -d {}\n", shell_quoted(condition), word,
                     shell_quoted(summary));
}

// All options that take a value. No name is a flag in one verb and takes a value in another.
std::string valued_options() {
  std::set<std::string> names;
  const auto add = [&](std::span<const OptionSpec> options) {
    for (const auto& option : options) {
      if (option.value.empty()) continue;
      names.insert(fmt::format("--{}", option.name));
      if (option.letter != 0) names.insert(fmt::format("-{}", option.letter));
    }
  };
  add(common_options());
  for (const auto& verb : verbs()) add(verb.own_options());
  return joined(std::vector<std::string>(names.begin(), names.end()), " ");
}

}  // namespace

std::string fish_completion() {
  std::string script = kHead;
  const std::string_view place = "@VALUED@";
  script.replace(script.find(place), place.size(), valued_options());
  for (const auto& option : common_options()) {
    const bool redefined_somewhere = option.name == "timeout";
    script += option_line(redefined_somewhere ? "__teal_no_verb" : "", option);
  }
  for (const auto& first : first_words()) {
    script += word_line("__teal_no_verb", first.word, first.is_family() ? "set or list them" : first.summary);
    for (const auto* verb : first.verbs) {
      if (first.is_family())
        script += word_line(fmt::format("__teal_at {} 0", first.word), second_word(*verb), verb->summary);
      const std::string here = fmt::format("__teal_at \"{}\"", verb->name);
      for (const auto& option : completed_options(*verb)) {
        const bool common = option.name == "output" || option.name == "socket" || option.name == "help";
        if (!common) script += option_line(here, option);
      }
      const auto places = split(verb->positional.places, ' ');
      for (size_t i = 0; i < std::min(places.size(), verb->positional.most); ++i) {
        const bool repeats = i + 1 == places.size() && verb->positional.most > places.size();
        const auto candidates = candidates_argument(places[i]);
        if (candidates.empty()) continue;
        script += fmt::format("complete -c teal -n {}{}\n",
                              shell_quoted(repeats ? here : fmt::format("{} {}", here, i)), candidates);
      }
    }
  }
  return script;
}

}  // namespace teal::cli
