// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/arguments.h"

// cxxopts would split arguments at commas.
#define CXXOPTS_VECTOR_DELIMITER '\0'
#include <cxxopts.hpp>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "dataplane/config/config_reader.h"
#include "dataplane/config/nearest.h"

namespace teal::cli {
namespace {

constexpr OptionSpec kCommon[] = {
    {'o', "output", "json|table", "output format (default: table)"},
    {0, "socket", "PATH", "teald's socket (default: /run/teal/control.sock)"},
    {0, "timeout", "TIME", "how long to wait for teald's answer, such as 500ms or 2m (default: 10s)"},
    {'h', "help", "", "show the help of the verb"},
};

Failure unknown_option(std::string_view word, std::span<const OptionSpec> options, std::string_view verb) {
  const std::string_view name = word.substr(0, word.find('='));
  std::vector<std::string> dashed;
  for (const auto& option : options) dashed.push_back("--" + std::string(option.name));
  const std::vector<std::string_view> candidates(dashed.begin(), dashed.end());
  const std::string help = verb.empty() ? "teal help" : fmt::format("teal {} --help", verb);
  const std::string program = verb.empty() ? "teal" : fmt::format("teal {}", verb);
  return usage_failure(fmt::format("{}: unknown option \"{}\"", program, name),
                       nearest_hint(name, candidates, help));
}

// Finds unknown options, missing values and values of flags. cxxopts would take the next option for a missing
// value.
std::optional<Failure> check_words(std::span<const std::string> words, std::span<const OptionSpec> options,
                                   std::string_view verb) {
  for (size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--") return std::nullopt;
    if (!is_option(word)) continue;
    const OptionSpec* option = named_option(word, options);
    if (option == nullptr) return unknown_option(word, options, verb);
    if (takes_next_word(word, *option) && ++i == words.size()) {
      return usage_failure(
          fmt::format("option --{} needs a value: --{} {}", option->name, option->name, option->value));
    }
    const bool has_value = word.starts_with("--") && word.find('=') != std::string::npos;
    if (option->value.empty() && has_value) {
      return usage_failure(fmt::format("option --{} takes no value", option->name));
    }
  }
  return std::nullopt;
}

// The words with each option as `--name=value`. cxxopts takes a value that begins with a dash only in this
// form.
std::vector<std::string> with_joined_values(std::span<const std::string> words,
                                            std::span<const OptionSpec> options) {
  std::vector<std::string> result;
  for (size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    if (word == "--") {
      result.insert(result.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    const OptionSpec* option = is_option(word) ? named_option(word, options) : nullptr;
    if (option == nullptr || option->value.empty()) {
      result.push_back(word);
    } else if (takes_next_word(word, *option)) {
      result.push_back(fmt::format("--{}={}", option->name, words[++i]));
    } else if (word.starts_with("--")) {
      result.push_back(word);
    } else {  // -ojson, -o=json
      result.push_back(fmt::format("--{}={}", option->name, word.substr(word[2] == '=' ? 3 : 2)));
    }
  }
  return result;
}

std::optional<Failure> check_count(const Arguments& arguments, const PositionalRange& range,
                                   std::string_view verb) {
  const size_t count = arguments.positional.size();
  if (count < range.least) {
    return usage_failure(fmt::format("teal {}: {} is missing", verb, range.placeholder(count)),
                         fmt::format("teal {} --help", verb));
  }
  if (count > range.most) {
    return usage_failure(
        fmt::format("teal {}: unexpected argument \"{}\"", verb, arguments.positional[range.most]),
        fmt::format("teal {} --help", verb));
  }
  return std::nullopt;
}

bool is_plain_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

std::span<const OptionSpec> common_options() {
  return kCommon;
}

std::vector<OptionSpec> with_common(std::span<const OptionSpec> options) {
  std::vector<OptionSpec> all(options.begin(), options.end());
  for (const auto& common : kCommon) {
    const bool redefined = std::any_of(options.begin(), options.end(),
                                       [&](const OptionSpec& option) { return option.name == common.name; });
    if (!redefined) all.push_back(common);
  }
  return all;
}

bool is_option(std::string_view word) {
  return word.size() > 1 && word.front() == '-';
}

const OptionSpec* named_option(std::string_view word, std::span<const OptionSpec> options) {
  for (const auto& option : options) {
    if (word.starts_with("--") ? word.substr(2, word.find('=') - 2) == option.name
                               : option.letter != 0 && word[1] == option.letter) {
      return &option;
    }
  }
  return nullptr;
}

bool takes_next_word(std::string_view word, const OptionSpec& option) {
  if (option.value.empty()) return false;
  return word.starts_with("--") ? word.find('=') == std::string_view::npos : word.size() == 2;
}

std::string_view PositionalRange::placeholder(size_t index) const {
  const auto all = split(placeholders, ' ');
  return all[std::min(index, all.size() - 1)];
}

std::optional<std::string> Arguments::value(std::string_view name) const {
  const auto found = options.find(name);
  return found == options.end() ? std::nullopt : std::optional(found->second);
}

tl::expected<std::optional<uint64_t>, Failure> Arguments::number(std::string_view name, uint64_t least,
                                                                 uint64_t most) const {
  const auto text = value(name);
  if (!text) return std::nullopt;
  uint64_t number = 0;
  const char* const end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc() || stop != end || number < least || number > most) {
    return tl::unexpected(usage_failure(
        fmt::format("--{} is \"{}\"; expected an integer from {} to {}", name, *text, least, most)));
  }
  return number;
}

tl::expected<std::optional<std::chrono::milliseconds>, Failure> Arguments::duration(
    std::string_view name, std::chrono::hours most) const {
  const auto text = value(name);
  if (!text) return std::nullopt;
  if (is_plain_number(*text)) {
    return tl::unexpected(
        usage_failure(fmt::format("--{}: {}: expected a time with a unit, such as 90s", name, *text)));
  }
  const auto duration = parse_duration(*text, most);
  if (!duration) {
    return tl::unexpected(usage_failure(
        fmt::format("--{} is \"{}\"; expected a time above 0 and up to {}h, such as 500ms, 10s or 2m", name,
                    *text, most.count())));
  }
  return *duration;
}

tl::expected<std::optional<std::string>, Failure> Arguments::colour(std::string_view name) const {
  static constexpr std::string_view kColours[] = {"blue", "green"};
  const auto text = value(name);
  if (!text || *text == kColours[0] || *text == kColours[1]) return text;
  return tl::unexpected(usage_failure(fmt::format("--{} is \"{}\"; expected blue or green", name, *text),
                                      nearest_hint(*text, kColours, {})));
}

tl::expected<std::optional<std::string>, Failure> Arguments::choice(std::string_view name,
                                                                    std::string_view choices) const {
  const auto text = value(name);
  const auto words = split(choices, '|');
  if (!text || std::find(words.begin(), words.end(), *text) != words.end()) return text;
  return tl::unexpected(usage_failure(fmt::format("--{} is \"{}\"; expected {}", name, *text, choices),
                                      nearest_hint(*text, words, {})));
}

tl::expected<Arguments, Failure> parse_arguments(std::string_view verb, std::span<const std::string> words,
                                                 std::span<const OptionSpec> options,
                                                 const PositionalRange& positional) {
  const auto all = with_common(options);
  if (auto failure = check_words(words, all, verb)) return tl::unexpected(std::move(*failure));

  cxxopts::Options parser("teal");
  auto add = parser.add_options();
  for (const auto& option : all) {
    std::string names(option.name);
    if (option.letter != 0) names = std::string(1, option.letter) + "," + names;
    add(names, "", option.value.empty() ? cxxopts::value<bool>() : cxxopts::value<std::string>());
  }
  add("arguments", "", cxxopts::value<std::vector<std::string>>());
  parser.parse_positional("arguments");

  const auto flat = with_joined_values(words, all);
  std::vector<const char*> argv = {"teal"};
  for (const auto& word : flat) argv.push_back(word.c_str());
  Arguments arguments;
  try {
    const auto result = parser.parse(static_cast<int>(argv.size()), argv.data());
    for (const auto& option : all) {
      const std::string name(option.name);
      if (result.count(name) == 0) continue;
      arguments.options[name] = option.value.empty() ? std::string() : result[name].as<std::string>();
    }
    if (result.count("arguments") != 0)
      arguments.positional = result["arguments"].as<std::vector<std::string>>();
  } catch (const cxxopts::exceptions::exception& error) {
    return tl::unexpected(
        usage_failure(fmt::format("teal {}: {}", verb, error.what()), fmt::format("teal {} --help", verb)));
  }

  if (arguments.has("help")) return arguments;  // help is shown even if other words are wrong
  if (const auto form = arguments.value("output"); form && *form != "json" && *form != "table") {
    static constexpr std::string_view kForms[] = {"json", "table"};
    return tl::unexpected(usage_failure(fmt::format("-o is \"{}\"; expected json or table", *form),
                                        nearest_hint(*form, kForms, {})));
  }
  if (auto failure = check_count(arguments, positional, verb)) return tl::unexpected(std::move(*failure));
  return arguments;
}

tl::expected<size_t, Failure> find_verb(std::span<const std::string> words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!is_option(words[i])) return i;
    if (words[i] == "--version") continue;
    const OptionSpec* option = named_option(words[i], kCommon);
    if (option == nullptr) return tl::unexpected(unknown_option(words[i], kCommon, ""));
    if (takes_next_word(words[i], *option)) ++i;
  }
  return words.size();
}

bool wants_json(std::span<const std::string> words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "-ojson" || word == "-o=json" || word == "--output=json") return true;
    if ((word == "-o" || word == "--output") && i + 1 < words.size() && words[i + 1] == "json") return true;
  }
  return false;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text, std::chrono::hours most) {
  const std::optional<std::chrono::milliseconds> duration = teal::parse_duration(text);
  if (!duration || duration->count() < 1 || *duration > most) return std::nullopt;
  return duration;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace teal::cli
