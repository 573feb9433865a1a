// SPDX-License-Identifier: Apache-2.0
#include "control/cli/completion/offers.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/services.h"

namespace teal::cli {
namespace {

constexpr std::chrono::milliseconds kPatience(500);  // the operator waits at the prompt

// The context of the word under the cursor, from the words before it.
struct Typed {
  std::string name;                        // of the verb, as far as it is typed: "", "backend", "backend set"
  const Verb* verb = nullptr;              // null: the name is not complete
  size_t arguments = 0;                    // of the verb
  std::optional<OptionSpec> option = {};   // its value is under the cursor
  std::optional<std::string> socket = {};  // --socket
};

std::vector<OptionSpec> options_of(const Verb* verb) {
  const auto own = verb == nullptr ? std::vector<OptionSpec>() : verb->own_options();
  return with_common(own);
}

const Verb* complete_verb(std::string_view name, std::span<const Verb> verbs) {
  const auto found =
      std::find_if(verbs.begin(), verbs.end(), [&](const Verb& verb) { return verb.name == name; });
  return found == verbs.end() ? nullptr : &*found;
}

Typed understood(std::span<const std::string> words, std::span<const Verb> verbs) {
  Typed typed;
  for (const auto& word : words) {
    if (typed.option) {
      if (typed.option->name == "socket") typed.socket = word;
      typed.option.reset();
    } else if (is_option(word)) {
      const auto options = options_of(typed.verb);
      const OptionSpec* option = named_option(word, options);
      if (option == nullptr) continue;
      if (takes_next_word(word, *option)) {
        typed.option = *option;
      } else if (option->name == "socket") {
        typed.socket = word.substr(word.find('=') + 1);
      }
    } else if (typed.verb != nullptr) {
      ++typed.arguments;
    } else {
      typed.name += (typed.name.empty() ? "" : " ") + word;
      typed.verb = complete_verb(typed.name, verbs);
    }
  }
  return typed;
}

// The words that continue `name` to the name of a verb: "backend" and others for "", "list" and "set" for
// "backend".
std::vector<Offer> verb_words(const std::string& name, std::span<const Verb> verbs) {
  const std::string start = name.empty() ? "" : name + " ";
  std::vector<Offer> offers;
  for (const auto& verb : verbs) {
    if (!verb.name.starts_with(start)) continue;
    const auto rest = verb.name.substr(start.size());
    const auto word = std::string(rest.substr(0, rest.find(' ')));
    if (word == rest) {
      offers.push_back({word, std::string(verb.summary)});
    } else if (std::none_of(offers.begin(), offers.end(), [&](const Offer& o) { return o.word == word; })) {
      offers.push_back({word, fmt::format("commands: {}", rest.substr(word.size() + 1))});
    } else {
      offers.back().description += fmt::format(", {}", rest.substr(word.size() + 1));
    }
  }
  return offers;
}

std::vector<Offer> backend_names(const Client& daemon) {
  std::vector<Offer> names;
  const auto services = get_services(daemon, {});
  if (!services) return names;
  for (const auto& service : *services) {
    for (const char* colour : {"blue", "green"}) {
      for (const auto& backend : service.at("colours").at(colour).at("backends"))
        names.push_back({fmt::format("{}/{}/{}", text(service, "name"), colour, text(backend, "address"))});
    }
  }
  return names;
}

std::vector<Offer> names_in_summary(const Client& daemon, const char* list) {
  std::vector<Offer> names;
  const auto summary = get_summary(daemon);
  if (!summary) return names;
  for (const auto& entry : summary->at(list)) names.push_back({text(entry, "name")});
  return names;
}

// Returns the offers for a placeholder, see OptionSpec.
Offers values_of(std::string_view placeholder, const Client& daemon, std::span<const Verb> verbs) {
  if (placeholder == "COLOUR") return {{{"blue"}, {"green"}}};
  if (placeholder == "VERB") return {verb_words("", verbs)};
  if (placeholder == "FILE" || placeholder == "PATH") return {.files = true};
  try {
    if (placeholder == "SERVICE") return {names_in_summary(daemon, "services")};
    if (placeholder == "GROUP") return {names_in_summary(daemon, "groups")};
    if (placeholder == "BACKEND") return {backend_names(daemon)};
  } catch (const nlohmann::json::exception&) {  // the answer of a daemon of another version
    return {};
  }
  Offers offers;
  if (placeholder.find('|') == std::string_view::npos) return offers;
  for (const auto word : split(placeholder, '|')) {
    if (word.front() >= 'a' && word.front() <= 'z') offers.words.push_back({std::string(word)});  // no "N"
  }
  return offers;
}

}  // namespace

Offers offers_for(std::span<const std::string> words, const Invocation& call) {
  if (words.empty()) return {};
  const std::string& last = words.back();
  const Typed typed = understood(words.first(words.size() - 1), call.verbs);
  const auto options = options_of(typed.verb);
  const Client daemon(typed.socket.value_or(call.daemon.socket()), kPatience);

  if (typed.option) return values_of(typed.option->value, daemon, call.verbs);
  if (const size_t equals = last.find('='); last.starts_with("--") && equals != std::string::npos) {
    const OptionSpec* option = named_option(last, options);
    if (option == nullptr) return {};
    Offers offers = values_of(option->value, daemon, call.verbs);
    for (auto& offer : offers.words) offer.word.insert(0, last, 0, equals + 1);
    return offers;
  }
  if (last.starts_with('-')) {
    Offers offers;
    for (const auto& option : options) {
      if (!option.hidden)
        offers.words.push_back({fmt::format("--{}", option.name), std::string(option.help)});
    }
    if (typed.name.empty()) offers.words.push_back({"--version", "show the versions of teal and teald"});
    return offers;
  }
  if (typed.verb == nullptr) return {verb_words(typed.name, call.verbs)};
  const auto& positional = typed.verb->positional;
  if (typed.arguments >= positional.most) return {};
  return values_of(positional.placeholder(typed.arguments), daemon, call.verbs);
}

}  // namespace teal::cli
