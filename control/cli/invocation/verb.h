// SPDX-License-Identifier: Apache-2.0
//
// A verb is a row of the table in verb_table.cc and a function in its own file. The function gets the parsed
// arguments, the client of the daemon and the streams to print to. It returns nothing on success, or a
// Failure, which run() prints as text or JSON. Help, man page and completion are made from the same table.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
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

// The environment of the process. Tests replace it.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  bool colour = false;                                   // print ANSI colours
  bool terminal = false;                                 // out is a terminal
  bool utf8 = false;                                     // out shows characters beyond ASCII
  unsigned columns = 80;                                 // of the terminal; tables are not wider
  unsigned rows = 24;                                    // of the terminal
  std::string socket;                                    // used if the command line has no --socket
  std::optional<uint32_t> login_uid = {};                // of the user who logged in; nothing: not known
  std::function<bool(std::chrono::milliseconds)> pause;  // sleeps; false ends a watch or a wait
  std::function<void(Surroundings&)> measure = {};       // updates columns and rows; may be empty
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

struct Verb;

struct Invocation {
  const Verb& verb;
  std::span<const Verb> verbs;  // all of them
  const Arguments& arguments;
  const Client& daemon;
  Surroundings& around;
  bool json = false;

  void print(const nlohmann::json& document) const;       // indented
  void print_line(const nlohmann::json& document) const;  // on one line
};

using Outcome = tl::expected<void, Failure>;

enum class Theme { kLook, kChange, kOther };

struct Verb {
  std::string_view name;        // one word, or two: "backend set"
  std::string_view usage = {};  // after "teal NAME"
  std::string_view summary;
  std::string_view description = {};  // paragraphs, separated by line ends
  std::span<const OptionSpec> options = {};
  PositionalRange positional = {};
  Theme theme = Theme::kOther;
  bool changes = false;  // takes change_options() too
  std::span<const std::string_view> examples = {};
  Outcome (*run)(const Invocation&);

  std::vector<OptionSpec> own_options() const;  // and change_options() if it changes something
};

}  // namespace teal::cli
