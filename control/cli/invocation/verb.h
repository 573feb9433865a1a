// SPDX-License-Identifier: Apache-2.0
//
// A verb is a row of the table in verb_table.cc and a function in a file of its own. The function gets parsed
// arguments, the daemon's client and where to print; it returns nothing for success, or a Failure that the
// caller prints in the form asked for. Help, man page and completions are made from the same table.
#pragma once

#include <chrono>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <tl/expected.hpp>

#include "control/cli/invocation/arguments.h"
#include "control/cli/invocation/client.h"
#include "control/cli/invocation/failure.h"

namespace teal::cli {

// What the process has around it. Tests give their own.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  bool colour = false;                                   // ANSI colours are wanted
  bool terminal = false;                                 // out is a terminal
  bool utf8 = false;                                     // characters beyond ASCII can be shown
  unsigned columns = 80;                                 // tables keep within them
  unsigned rows = 24;                                    // of the terminal
  std::string socket;                                    // where the command line names none
  std::function<bool(std::chrono::milliseconds)> pause;  // false: stop watching
  std::function<void(Surroundings&)> measure = {};       // columns and rows anew, if the terminal can tell
};

struct Verb;

struct Invocation {
  const Verb& verb;
  std::span<const Verb> verbs;  // all of them
  const Arguments& arguments;
  const Client& daemon;
  Surroundings& around;
  bool json = false;

  void print(const nlohmann::json& document) const;  // indented, with a line end
  void print_line(const nlohmann::json& document) const;
};

using Outcome = tl::expected<void, Failure>;

enum class Theme { kLook, kChange, kOther };

struct Verb {
  std::string_view name;        // one word, or two: "backend set"
  std::string_view usage = {};  // after "teal NAME"
  std::string_view summary;
  std::string_view description = {};  // paragraphs, parted by line ends
  std::span<const OptionSpec> options = {};
  PositionalRange positional = {};
  Theme theme = Theme::kOther;
  bool changes = false;  // takes change_options() too
  std::span<const std::string_view> examples = {};
  Outcome (*run)(const Invocation&);

  std::vector<OptionSpec> own_options() const;  // and change_options() if it changes something
};

}  // namespace teal::cli
