// SPDX-License-Identifier: Apache-2.0
//
// The options of a verb are a table; cxxopts parses by it, and help and hints are made from it.
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

// Values and arguments are called by a placeholder, which also says what completes them: SERVICE, GROUP,
// COLOUR, BACKEND, VERB, FILE, or the words themselves: "wait|reset".
struct OptionSpec {
  char letter;             // 0: none
  std::string_view name;   // without the dashes
  std::string_view value;  // its placeholder; empty: a flag
  std::string_view help;
  bool hidden = false;  // for scripts of ours: neither help nor completion tells of it
};

// What every verb takes, before it or after it. A verb may give a name of these another meaning.
std::span<const OptionSpec> common_options();

// The options of a verb, then the common ones that it does not redefine.
std::vector<OptionSpec> with_common(std::span<const OptionSpec> options);

// "-x", "--word", "--word=value"; not "-".
bool is_option(std::string_view word);

// The option that such a word names, or null. The word may also hold the value.
const OptionSpec* named_option(std::string_view word, std::span<const OptionSpec> options);

// True if the option has a value and `word`, which names the option, does not hold it.
bool takes_next_word(std::string_view word, const OptionSpec& option);

// How many arguments that are not options a verb takes.
struct PositionalRange {
  size_t least = 0;
  size_t most = 0;
  std::string_view places =
      "argument";  // placeholders by place, "BACKEND ready|drain|maint"; the last repeats

  std::string_view place(size_t index) const;
};

inline constexpr std::chrono::hours kLongestWait(24);

class Arguments {
 public:
  std::vector<std::string> positional;
  std::map<std::string, std::string, std::less<>> options;  // by long name; a flag's value is empty

  bool has(std::string_view name) const { return options.find(name) != options.end(); }
  std::optional<std::string> value(std::string_view name) const;

  // The option's value as an integer of [least, most]; nothing if it is not given.
  tl::expected<std::optional<uint64_t>, Failure> number(std::string_view name, uint64_t least,
                                                        uint64_t most) const;
  // As parse_duration; nothing if it is not given.
  tl::expected<std::optional<std::chrono::milliseconds>, Failure> duration(
      std::string_view name, std::chrono::hours most = kLongestWait) const;
  // "blue" or "green"; nothing if it is not given.
  tl::expected<std::optional<std::string>, Failure> colour(std::string_view name) const;
  // One of the words of "wait|reset"; nothing if it is not given.
  tl::expected<std::optional<std::string>, Failure> choice(std::string_view name,
                                                           std::string_view choices) const;
};

tl::expected<Arguments, Failure> parse_arguments(std::string_view verb, std::span<const std::string> words,
                                                 std::span<const OptionSpec> options,
                                                 const PositionalRange& positional);

// The place of the verb among the words: the first that is neither an option nor its value. Only common
// options may stand before it. words.size() if there is none.
tl::expected<size_t, Failure> find_verb(std::span<const std::string> words);

// Is JSON asked for? By a look at the words alone, for errors that come before they are understood.
bool wants_json(std::span<const std::string> words);

// "500ms", "1m30s" as in the config file, or a number of seconds: "2", "0.5". Above 0, up to `most`.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                        std::chrono::hours most = kLongestWait);

std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace teal::cli
