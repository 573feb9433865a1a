// SPDX-License-Identifier: Apache-2.0
//
// A verb is a row of the table in verbs.cc and a function in a file of its own. The function gets parsed
// arguments, the daemon's client and where to print; it returns nothing for success, or a Failure that the
// caller prints in the form asked for.
#pragma once

#include <chrono>
#include <functional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>
#include <tl/expected.hpp>

#include "control/cli/arguments.h"
#include "control/cli/client.h"
#include "control/cli/failure.h"

namespace teal::cli {

// What the process has around it. Tests give their own.
struct Surroundings {
  std::ostream& out;
  std::ostream& err;
  bool colour = false;                                   // ANSI colours are wanted
  bool terminal = false;                                 // out is a terminal
  unsigned columns = 80;                                 // tables keep within them
  std::string socket;                                    // where the command line names none
  std::function<bool(std::chrono::milliseconds)> pause;  // false: stop watching
};

struct Invocation {
  const Arguments& arguments;
  const Client& daemon;
  Surroundings& around;
  bool json = false;

  void print(const nlohmann::json& document) const;  // indented, with a line end
};

using Outcome = tl::expected<void, Failure>;

struct Verb {
  std::string_view name;
  std::string_view usage;    // after "teal NAME"
  std::string_view summary;  // one line
  std::span<const OptionSpec> options;
  PositionalRange positional;
  Outcome (*run)(const Invocation&);
};

std::span<const Verb> verbs();

// One per file.
Outcome run_list(const Invocation&);
Outcome run_status(const Invocation&);
Outcome run_flip(const Invocation&);
Outcome run_rollback(const Invocation&);
Outcome run_flows(const Invocation&);
Outcome run_stats(const Invocation&);
Outcome run_check(const Invocation&);
Outcome run_version(const Invocation&);
Outcome run_help(const Invocation&);

std::string help_text();
std::string help_text(const Verb& verb);

// The whole program: from the words after "teal" to the exit code.
int run(std::span<const std::string> words, Surroundings& around);

}  // namespace teal::cli
