// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdlib>
#include <iostream>

#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include <spdlog/spdlog.h>
#include <boost/asio/signal_set.hpp>
#include <cxxopts.hpp>

#include "control/prober/command_run.h"
#include "control/prober/prober.h"
#include "dataplane/log/log.h"

namespace {

enum ExitCode : int { kExitStopped = 0, kExitError = 1, kExitUsage = 2 };

int usage_error(const std::string& what) {
  std::cerr << "teal-health: " << what << "\nTry: teal-health --help\n";
  return kExitUsage;
}

// Each check has a socket of its own, and 4,096 may be open at once.
void lift_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const std::string& run_dir) {
  std::signal(SIGPIPE, SIG_IGN);
  lift_file_limit();
  teal::Command::adopt_orphans();
  const teal::Clock clock;
  boost::asio::io_context io(1);
  teal::Prober prober(io, run_dir, clock);
  prober.on_alive([] { sd_notify(0, "WATCHDOG=1"); });
  prober.start();
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code& cancelled, int signal) {
    if (cancelled) return;
    spdlog::info("stopping on signal {}", signal);
    sd_notify(0, "STOPPING=1");
    io.stop();
  });
  sd_notify(0, "READY=1");
  spdlog::info("ready: checks backends as teald in {} wants", run_dir);
  io.run();
  teal::kill_commands();
  spdlog::shutdown();
  std::_Exit(kExitStopped);  // checks that are under way end with the process
}

}  // namespace

int main(int argc, char** argv) {
  teal::open_log("teal-health");
  std::string run_dir = "/run/teal";
  cxxopts::Options usage("teal-health",
                         "Teal's prober: checks the health of backends, runs hooks, and tells teald.");
  usage.add_options()("run-dir", "where teald's socket is", cxxopts::value(run_dir)->default_value(run_dir),
                      "DIR")("log-level", "trace, debug, info, warning, error, critical or off",
                             cxxopts::value<std::string>()->default_value("info"),
                             "L")("version", "print the version")("help", "print this");
  try {
    const cxxopts::ParseResult given = usage.parse(argc, argv);
    if (given.count("help") != 0) {
      std::cout << usage.help();
      return kExitStopped;
    }
    if (given.count("version") != 0) {
      std::cout << "teal-health " << TEAL_VERSION << "\n";
      return kExitStopped;
    }
    if (!given.unmatched().empty())
      return usage_error("unexpected argument \"" + given.unmatched().front() + "\"");
    const std::string level_name = given["log-level"].as<std::string>();
    const spdlog::level::level_enum level = spdlog::level::from_str(level_name);
    if (level == spdlog::level::off && level_name != "off")
      return usage_error("--log-level: unknown level \"" + level_name + "\"");
    spdlog::set_level(level);
  } catch (const cxxopts::exceptions::exception& error) {
    return usage_error(error.what());
  }
  // boost::asio would throw for a longer one (sockaddr_un).
  constexpr size_t kMaxSocketPath = 107;
  if (run_dir.size() + sizeof("/health.sock") - 1 > kMaxSocketPath)
    return usage_error("--run-dir: the path is too long for a unix socket");
  try {
    return serve(run_dir);
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return kExitError;
  }
}
