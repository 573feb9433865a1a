// SPDX-License-Identifier: Apache-2.0
#include "control/cli/completion/completion.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"

namespace teal::cli {
namespace {

constexpr std::chrono::milliseconds kPatience(500);  // somebody waits at a keyboard

std::vector<std::string> names_of(const Client& daemon, std::string_view what) {
  std::vector<std::string> names;
  if (what == "backends") {
    const auto services = get_services(daemon, {});
    if (!services) return names;
    for (const auto& service : *services) {
      for (const char* colour : {"blue", "green"}) {
        for (const auto& backend : service.at("colours").at(colour).at("backends"))
          names.push_back(fmt::format("{}/{}/{}", text(service, "name"), colour, text(backend, "address")));
      }
    }
    return names;
  }
  const auto summary = get_summary(daemon);
  if (!summary) return names;
  for (const auto& entry : summary->at(std::string(what))) names.push_back(text(entry, "name"));
  return names;
}

Outcome print_words(const Invocation& call, std::string_view what) {
  Client daemon = call.daemon;
  daemon.set_timeout(kPatience);
  try {
    for (const auto& name : names_of(daemon, what)) call.around.out << name << '\n';
  } catch (
      const nlohmann::json::exception&) {  // another version's daemon: a shell's prompt is no place to say it
  }
  return {};
}

}  // namespace

Candidates candidates_of(std::string_view placeholder) {
  using Kind = Candidates::Kind;
  if (placeholder == "COLOUR") return {Kind::kFixed, {"blue", "green"}};
  if (placeholder == "SERVICE") return {Kind::kNames, {}, "services"};
  if (placeholder == "GROUP") return {Kind::kNames, {}, "groups"};
  if (placeholder == "BACKEND") return {Kind::kNames, {}, "backends"};
  if (placeholder == "FILE" || placeholder == "PATH") return {Kind::kFiles};
  Candidates fixed{Kind::kFixed};
  if (placeholder == "VERB") {
    for (const auto& first : first_words()) fixed.words.emplace_back(first.word);
  } else if (placeholder.find('|') != std::string_view::npos) {
    for (const auto word : split(placeholder, '|')) {
      if (word.front() >= 'a' && word.front() <= 'z') fixed.words.emplace_back(word);  // not "N" of "N|file"
    }
  }
  return fixed.words.empty() ? Candidates{} : fixed;
}

std::vector<OptionSpec> completed_options(const Verb& verb) {
  auto options = verb.own_options();
  for (const auto& common : common_options()) {
    const bool redefined = std::any_of(options.begin(), options.end(),
                                       [&](const OptionSpec& option) { return option.name == common.name; });
    if (!redefined) options.push_back(common);
  }
  std::erase_if(options, [](const OptionSpec& option) { return option.hidden; });
  return options;
}

std::vector<FirstWord> first_words() {
  std::vector<FirstWord> words;
  for (const auto& verb : verbs()) {
    const auto word = verb.name.substr(0, verb.name.find(' '));
    const auto known =
        std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.word == word; });
    if (known == words.end()) {
      words.push_back({word, verb.summary, {&verb}});
    } else {
      known->verbs.push_back(&verb);
    }
  }
  return words;
}

std::string_view second_word(const Verb& verb) {
  return verb.name.substr(verb.name.find(' ') + 1);
}

std::string shell_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

Outcome run_completion(const Invocation& call) {
  const auto what = call.arguments.choice("words", "services|groups|backends");
  if (!what) return tl::unexpected(what.error());
  if (*what) return print_words(call, **what);
  const auto& words = call.arguments.positional;
  if (words.empty()) {
    return tl::unexpected(usage_failure("teal completion: which shell? bash, zsh or fish",
                                        "in bash: source <(teal completion bash)"));
  }
  const std::string& shell = words.front();
  if (shell != "bash" && shell != "zsh" && shell != "fish") {
    return tl::unexpected(usage_failure(fmt::format("no completion for \"{}\"", clean(shell)),
                                        "the shells are bash, zsh and fish"));
  }
  const std::string script = shell == "bash"  ? bash_completion()
                             : shell == "zsh" ? zsh_completion()
                                              : fish_completion();
  if (call.json) {
    call.print({{"shell", shell}, {"script", script}});
  } else {
    call.around.out << script;
  }
  return {};
}

}  // namespace teal::cli
