// SPDX-License-Identifier: Apache-2.0
//
// The life of teald.
//
// The start goes through config, lock, database, segment and ids, in this order. An error leaves everything
// unchanged. Then one event loop serves the API, watches the segment and the kernel's routes, and handles
// signals (SIGHUP reloads the config). teald may be killed at any instruction. SIGTERM lets the change under
// way finish first.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/kernel/kernel_routes.h"
#include "control/loop/clock.h"
#include "control/loop/events.h"
#include "control/state/recorder.h"
#include "control/state/user_names.h"

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
  // Names the user of teal-health, or gives its number. This user, root and teald's own user may report
  // health.
  std::string health_user = "teal-health";
  std::shared_ptr<const Clock> clock = std::make_shared<Clock>();
  // Opens the source of next hops and local addresses. If empty, teald writes neither.
  std::function<tl::expected<std::unique_ptr<KernelRoutes>, std::string>(
      boost::asio::io_context&, const Clock&, std::function<void()> changed)>
      open_kernel_routes;
  Recorder::Limits disk_limits;
  // Names a user. May take long: it may ask a directory over the network.
  UserNames::Lookup name_of_user = teal::name_of_user;
  // Called for each event, before teald acts on the event.
  std::function<void(const ToldEvent&)> on_event;
};

// Why teald did not start: the exit code, and messages of one line each.
struct StartFailure {
  ExitCode code;
  std::vector<std::string> messages;
};

class Daemon {
 public:
  static tl::expected<std::unique_ptr<Daemon>, StartFailure> start(DaemonOptions options);
  ~Daemon();

  // Runs until SIGTERM, SIGINT, stop() or an error. If the disk or the name service hangs
  // then, it ends the process.
  ExitCode run();
  // May be called from any thread.
  void stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace teal
