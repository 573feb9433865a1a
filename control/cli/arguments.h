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

#include "control/cli/failure.h"

namespace teal::cli {

struct OptionSpec {
  char letter;             // 0: none
  std::string_view name;   // without the dashes
  std::string_view value;  // what help calls its value; empty: a flag
  std::string_view help;
};

// What every verb takes, before it or after it.
std::span<const OptionSpec> common_options();

// How many arguments that are not options a verb takes.
struct PositionalRange {
  size_t least = 0;
  size_t most = 0;
  std::string_view what = "argument";  // "SERVICE"
};

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
  tl::expected<std::optional<std::chrono::milliseconds>, Failure> duration(std::string_view name) const;
  // "blue" or "green"; nothing if it is not given.
  tl::expected<std::optional<std::string>, Failure> colour(std::string_view name) const;
};

tl::expected<Arguments, Failure> parse_arguments(std::string_view verb, std::span<const std::string> words,
                                                 std::span<const OptionSpec> options,
                                                 const PositionalRange& positional);

// The place of the verb among the words: the first that is neither an option nor its value. Only common
// options may stand before it. words.size() if there is none.
tl::expected<size_t, Failure> find_verb(std::span<const std::string> words);

// Is JSON asked for? By a look at the words alone, for errors that come before they are understood.
bool wants_json(std::span<const std::string> words);

// "500ms", "1m30s" as in the config file, or a number of seconds: "2", "0.5". Above 0, up to a day.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The lines of help that describe options.
std::string describe_options(std::span<const OptionSpec> options);

}  // namespace teal::cli
