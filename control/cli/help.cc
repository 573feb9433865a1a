// SPDX-License-Identifier: Apache-2.0
#include "control/cli/help.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/change.h"
#include "control/cli/terminal/table.h"
#include "control/cli/verb_table.h"

namespace teal::cli {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kOptionColumn = 27;  // where the description of an option begins

constexpr std::array<std::pair<Theme, std::string_view>, 3> kThemes = {{{Theme::kLook, "verbs that show"},
                                                                        {Theme::kChange, "verbs that change"},
                                                                        {Theme::kOther, "other verbs"}}};

constexpr std::array<std::pair<int, std::string_view>, 9> kExitCodes = {{
    {kDone, "done"},
    {kError, "error: the message says what failed and what to do"},
    {kUsage, "wrong usage"},
    {kRefused, "refused by a gate or a lock; nothing was changed"},
    {kTimeout,
     "timeout: a change was published but not adopted in time, and is not undone; or a wait reached its "
     "timeout"},
    {kConflict, "conflict: another change came first; nothing was changed"},
    {kRolledBack,
     "during --wait, Teal rolled back or found the new colour bad, or another operator changed the active "
     "colour"},
    {kUnreachable, "teald cannot be reached, or does not answer a question; nothing was changed"},
    {kLostAnswer,
     "a change was sent and its answer is lost: the change may have been made; the same command with the "
     "--request-id that the hint names makes it at most once"},
}};

std::string describe_options(std::span<const OptionSpec> options) {
  std::string text;
  for (const auto& option : options) {
    if (option.hidden) continue;
    std::string left = option.letter != 0 ? fmt::format("  -{}, --{}", option.letter, option.name)
                                          : fmt::format("      --{}", option.name);
    if (!option.value.empty()) left += fmt::format(" {}", option.value);
    if (left.size() + 2 > kOptionColumn) {
      text += left + "\n";
      left.clear();
    }
    text += fmt::format("{:<{}}", left, kOptionColumn) + filled(option.help, kOptionColumn, kWidth);
  }
  return text;
}

// The line is wrapped between options, never inside brackets.
std::string usage_line(const Verb& verb) {
  constexpr char kKept = '\x01';  // a space inside brackets
  const std::string head = fmt::format("usage: teal {}{}", verb.name, verb.usage.empty() ? "" : " ");
  std::string usage(verb.usage);
  int depth = 0;
  for (char& c : usage) {
    depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    if (c == ' ' && depth > 0) c = kKept;
  }
  std::string line = head + filled(usage, head.size(), kWidth);
  std::replace(line.begin(), line.end(), kKept, ' ');
  return line;
}

}  // namespace

Outcome print_help(const Invocation& call, const std::string& text) {
  if (call.json) {
    call.print({{"help", text}});
  } else {
    call.around.out << text;
  }
  return {};
}

std::span<const std::pair<int, std::string_view>> exit_codes() {
  return kExitCodes;
}

std::string help_text() {
  std::string text = "usage: teal [--socket PATH] [-o json|table] VERB ...\n";
  for (const auto& [theme, title] : kThemes) {
    text += fmt::format("\n{}:\n", title);
    for (const auto& verb : verbs()) {
      if (verb.theme == theme) text += fmt::format("  {:<13} ", verb.name) + filled(verb.summary, 16, kWidth);
    }
  }
  text += "\noptions of every verb:\n" + describe_options(common_options());
  text += "\noptions of every change:\n" + describe_options(change_options());
  text += "\nexit codes:\n";
  for (const auto& [code, meaning] : kExitCodes)
    text += fmt::format("  {}  ", code) + filled(meaning, 5, kWidth);
  text +=
      "\nTEAL_SOCKET is the default of --socket. NO_COLOR turns colours off.\n"
      "teal VERB --help describes a verb.\n";
  return text;
}

std::string help_text(const Verb& verb) {
  std::string text = usage_line(verb) + "\n" + filled(verb.summary, 0, kWidth);
  if (!verb.description.empty()) {
    for (const auto paragraph : split(verb.description, '\n')) text += "\n" + filled(paragraph, 0, kWidth);
  }
  if (const auto own = describe_options(verb.options); !own.empty()) text += "\noptions:\n" + own;
  if (verb.changes) text += "\noptions of every change:\n" + describe_options(change_options());
  const auto all = with_common(verb.options);
  text += "\noptions of every verb:\n" + describe_options(std::span(all).subspan(verb.options.size()));
  if (!verb.examples.empty()) text += "\nexamples:\n";
  for (const auto example : verb.examples) text += fmt::format("  {}\n", example);
  return text;
}

std::string help_of_family(std::string_view word) {
  std::string text;
  for (const auto& verb : verbs()) {
    if (!verb.name.starts_with(std::string(word) + " ")) continue;
    text += usage_line(verb) + "  " + filled(verb.summary, 2, kWidth);
  }
  if (!text.empty()) text += fmt::format("teal help {} COMMAND describes a command.\n", word);
  return text;
}

Outcome run_help(const Invocation& call) {
  const auto& words = call.arguments.positional;
  if (call.arguments.has("man")) return print_help(call, man_page());
  if (words.empty()) return print_help(call, help_text());
  if (words.size() == 1) {
    if (const auto family = help_of_family(words[0]); !family.empty()) return print_help(call, family);
  }
  const auto verb = verb_named(words.size() == 1 ? words[0] : words[0] + " " + words[1]);
  if (!verb) return tl::unexpected(verb.error());
  return print_help(call, help_text(**verb));
}

}  // namespace teal::cli
