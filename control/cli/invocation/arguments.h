// SPDX-License-Identifier: Apache-2.0
//
// Parsing of options and arguments. A verb's options are a table. cxxopts gets it, and help, hints and
// completion are made from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/cli/invocation/failure.h"

namespace teal::cli {

// Values and arguments have placeholders. Completion offers words by them: SERVICE, GROUP, COLOUR, BACKEND,
// VERB, FILE, PATH, or the words themselves: "wait|reset".
struct OptionSpec {
  char letter;             // 0: none
  std::string_view name;   // without the dashes
  std::string_view value;  // its placeholder; empty: a flag
  std::string_view help;
  bool hidden = false;  // only for Teal's own scripts: not in help and not completed
};

// The options that every verb takes, before or after the verb. A verb may redefine an option.
std::span<const OptionSpec> common_options();

// The options of a verb, then the common ones that it does not redefine.
std::vector<OptionSpec> with_common(std::span<const OptionSpec> options);

// "-x", "--word", "--word=value"; not "-".
bool is_option(std::string_view word);

// The option that such a word names, or null. The word may also hold the value.
const OptionSpec* named_option(std::string_view word, std::span<const OptionSpec> options);

// True if the option has a value and `word`, which names the option, does not hold it.
bool takes_next_word(std::string_view word, const OptionSpec& option);

// The number of arguments that a verb takes. Options do not count.
struct PositionalRange {
  size_t least = 0;
  size_t most = 0;
  // The placeholders in their order: "BACKEND ready|drain|maint". Further arguments have the last one.
  std::string_view placeholders = "argument";

  std::string_view placeholder(size_t index) const;
};

inline constexpr std::chrono::hours kLongestWait(24);

class Arguments {
 public:
  std::vector<std::string> positional;
  std::map<std::string, std::string, std::less<>> options;  // by long name; a flag's value is empty

  bool has(std::string_view name) const { return options.find(name) != options.end(); }
  std::optional<std::string> value(std::string_view name) const;

  // Each of these returns nothing if the option is not given. number() takes an integer of [least, most].
  tl::expected<std::optional<uint64_t>, Failure> number(std::string_view name, uint64_t least,
                                                        uint64_t most) const;
  // As parse_duration().
  tl::expected<std::optional<std::chrono::milliseconds>, Failure> duration(
      std::string_view name, std::chrono::hours most = kLongestWait) const;
  // "blue" or "green".
  tl::expected<std::optional<std::string>, Failure> colour(std::string_view name) const;
  // One of the words of `choices`: "wait|reset".
  tl::expected<std::optional<std::string>, Failure> choice(std::string_view name,
                                                           std::string_view choices) const;
};

tl::expected<Arguments, Failure> parse_arguments(std::string_view verb, std::span<const std::string> words,
                                                 std::span<const OptionSpec> options,
                                                 const PositionalRange& positional);

// Returns the index of the verb: the first word that is neither an option nor an option's value, or
// words.size(). Only common options may stand before the verb.
tl::expected<size_t, Failure> find_verb(std::span<const std::string> words);

// True if the words hold -o json in any form. For errors that occur before the words are parsed.
bool wants_json(std::span<const std::string> words);

// Takes "500ms" or "1m30s", as in the config file. Returns nothing for 0, for more than `most`, and for other
// texts, such as a number without a unit.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::hours most = kLongestWait);

std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace teal::cli
