// SPDX-License-Identifier: Apache-2.0
//
// The life of teald. Start: config, lock, database, segment, ids, in this order; an error leaves everything
// as it was. Then one event loop: the API, the segment, the kernel's routes, signals (SIGHUP is a reload). It
// may be killed at any instruction; a stop by SIGTERM only differs in that it sees the change under way
// through.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/kernel/kernel_routes.h"
#include "control/loop/events.h"

namespace teal {

enum ExitCode : int {
  kExitStopped = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitLocked = 3,
  kExitSegmentRefused = 4
};

struct DaemonOptions {
  std::string config_path = "/etc/teal/teal.toml";
  std::string run_dir = "/run/teal";
  std::string state_dir = "/var/lib/teal";
  // Where next hops and local addresses come from. Empty: from nobody, they stay as they are.
  std::function<tl::expected<std::unique_ptr<KernelRoutes>, std::string>(boost::asio::io_context&,
                                                                         std::function<void()> changed)>
      open_kernel_routes;
  // Told of each event, before anything that follows it is done.
  std::function<void(const ToldEvent&)> on_event;
};

// For people, one line each, and for the exit code.
struct StartFailure {
  ExitCode code;
  std::vector<std::string> messages;
};

class Daemon {
 public:
  static tl::expected<std::unique_ptr<Daemon>, StartFailure> start(DaemonOptions options);
  ~Daemon();

  // Until SIGTERM, SIGINT, stop() or an error.
  ExitCode run();
  // From any thread.
  void stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace teal
