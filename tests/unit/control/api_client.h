// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "control/daemon.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {

struct ApiReply {
  unsigned status = 0;  // 0: no answer
  std::string allow;
  nlohmann::json body;
};

// One request over a connection of its own.
ApiReply call(const std::string& socket, const std::string& method, const std::string& split,
              const std::string& body = "");
// `count` times the same over one connection: how many were answered 200.
int call_again_and_again(const std::string& socket, const std::string& split, int count);
// Bytes as they are; what comes back until the server closes.
std::string send_raw(const std::string& socket, const std::string& bytes);

// A directory with a config, and daemons that come and go in it.
class DaemonHome {
 public:
  DaemonHome() { write_config(kShopToml); }

  const TempDir& dir() const { return dir_; }
  std::string run_dir() const { return dir_.file("run"); }
  std::string socket() const { return run_dir() + "/control.sock"; }
  void write_config(const std::string& toml) const;
  DaemonOptions options() const;

  ApiReply get(const std::string& split) const { return call(socket(), "GET", split); }
  ApiReply post(const std::string& split, const std::string& body) const {
    return call(socket(), "POST", split, body);
  }
  ApiReply flip(const std::string& service, const std::string& to) const {
    return post("/v1/flip", R"({"services":[")" + service + R"("],"to":")" + to + "\"}");
  }
  nlohmann::json service(const std::string& name) const { return get("/v1/services/" + name).body; }

 private:
  TempDir dir_;
};

// A teald in a thread of its own, from its first answer to its orderly end.
class RunningDaemon {
 public:
  explicit RunningDaemon(const DaemonHome& home);
  ~RunningDaemon() { (void)stop(); }
  ExitCode stop();

 private:
  std::unique_ptr<Daemon> daemon_;
  ExitCode code_ = kExitError;
  std::thread thread_;
};

}  // namespace teal
