// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "control/daemon.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/skipping_clock.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {

struct ApiReply {
  unsigned status = 0;  // 0: no answer
  std::string allow;
  nlohmann::json body;
};

// Sends one request over a new connection.
ApiReply call(const std::string& socket, const std::string& method, const std::string& target,
              const std::string& body = "");
// Sends `count` GET requests over one connection. Returns how many were answered with status 200.
int call_repeatedly(const std::string& socket, const std::string& target, int count);
// Sends the bytes unchanged. Returns all that the server sends until it closes the connection.
std::string send_raw(const std::string& socket, const std::string& bytes);

// A directory with a config, in which daemons start and end.
class DaemonHome {
 public:
  DaemonHome() { write_config(kShopToml); }

  const TempDir& dir() const { return dir_; }
  std::string run_dir() const { return dir_.file("run"); }
  std::string socket() const { return run_dir() + "/control.sock"; }
  void write_config(const std::string& toml) const;
  DaemonOptions options() const;
  // Names the users for daemons that start from here on.
  void name_users_with(UserNames::Lookup lookup) { name_of_user_ = std::move(lookup); }
  // The clock of the daemons.
  SkippingClock& clock() const { return *clock_; }
  // Skips a second at each look until the condition holds. Returns false if it does not come to hold.
  bool comes_true(const std::function<bool()>& condition) const;

  ApiReply get(const std::string& target) const { return call(socket(), "GET", target); }
  ApiReply post(const std::string& target, const std::string& body) const {
    return call(socket(), "POST", target, body);
  }
  ApiReply flip(const std::string& service, const std::string& to) const {
    return post("/v1/flip", R"({"services":[")" + service + R"("],"to":")" + to + "\"}");
  }
  nlohmann::json service(const std::string& name) const { return get("/v1/services/" + name).body; }

 private:
  TempDir dir_;
  UserNames::Lookup name_of_user_ = name_of_user;
  const std::shared_ptr<SkippingClock> clock_ = std::make_shared<SkippingClock>();
};

// Runs teald in a thread. The constructor waits for its first answer; stop() and the destructor end it in
// order.
class RunningDaemon {
 public:
  explicit RunningDaemon(const DaemonHome& home);
  ~RunningDaemon() { (void)stop(); }
  ExitCode stop();

 private:
  SkippingClock& clock_;
  std::unique_ptr<Daemon> daemon_;
  ExitCode code_ = kExitError;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace teal
