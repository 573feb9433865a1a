// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include <cstdlib>
#include <iostream>

#include <spdlog/spdlog.h>
#include <cxxopts.hpp>

#include "control/daemon.h"
#include "control/state/state.h"
#include "dataplane/log/log.h"

namespace {

std::optional<spdlog::level::level_enum> parse_level(const std::string& name) {
  const spdlog::level::level_enum level = spdlog::level::from_str(name);
  if (level == spdlog::level::off && name != "off")
    return std::nullopt;  // from_str() maps unknown names to off
  return level;
}

int usage_error(const std::string& what) {
  std::cerr << "teald: " << what << "\nTry: teald --help\n";
  return teal::kExitUsage;
}

int serve(teal::DaemonOptions options) {
  options.open_kernel_routes = teal::KernelRoutes::open;
  auto daemon = teal::Daemon::start(std::move(options));
  if (!daemon) {
    for (const std::string& message : daemon.error().messages) spdlog::critical("{}", message);
    return daemon.error().code;
  }
  const int code = (*daemon)->run();
  spdlog::shutdown();
  std::_Exit(code);  // not by destructors: threads that wait for a disk or a user directory cannot be joined
}

// Copies the database to `file`, beside a running teald or without one.
int back_up(const std::string& state_dir, const std::string& file) {
  ::umask(077);
  if (const auto done = teal::State::back_up(state_dir, file); !done) {
    std::cerr << "teald: " << done.error() << "\n";
    return teal::kExitError;
  }
  std::cout << "the state of " << state_dir << " is in " << file << "\n";
  return teal::kExitStopped;
}

}  // namespace

int main(int argc, char** argv) {
  teal::open_log("teald");

  teal::DaemonOptions options;
  cxxopts::Options usage("teald", "Teal's control daemon: config, API, publication of flips.");
  usage.add_options()  //
      ("config", "the config file", cxxopts::value(options.config_path)->default_value(options.config_path),
       "FILE")("run-dir", "where the segment and the sockets are",
               cxxopts::value(options.run_dir)->default_value(options.run_dir),
               "DIR")("state-dir", "where the database is",
                      cxxopts::value(options.state_dir)->default_value(options.state_dir),
                      "DIR")("health-user", "the user of teal-health, a name or a number",
                             cxxopts::value(options.health_user)->default_value(options.health_user),
                             "USER")("log-level", "trace, debug, info, warning, error, critical or off",
                                     cxxopts::value<std::string>()->default_value("info"), "L")(
          "backup", "copy the database into a new FILE, and exit", cxxopts::value<std::string>(), "FILE")(
          "version", "print the version")("help", "print this");
  try {
    const cxxopts::ParseResult given = usage.parse(argc, argv);
    if (given.count("help") != 0) {
      std::cout << usage.help();
      return teal::kExitStopped;
    }
    if (given.count("version") != 0) {
      std::cout << "teald " << TEAL_VERSION << "\n";
      return teal::kExitStopped;
    }
    if (!given.unmatched().empty())
      return usage_error("unexpected argument \"" + given.unmatched().front() + "\"");
    const std::string level_name = given["log-level"].as<std::string>();
    const auto level = parse_level(level_name);
    if (!level) return usage_error("--log-level: unknown level \"" + level_name + "\"");
    spdlog::set_level(*level);
    if (given.count("backup") != 0) return back_up(options.state_dir, given["backup"].as<std::string>());
  } catch (const cxxopts::exceptions::exception& error) {
    return usage_error(error.what());
  }
  try {
    return serve(std::move(options));
  } catch (const std::exception& error) {  // no memory, no threads
    spdlog::critical("{}", error.what());
    return teal::kExitError;
  }
}
