// SPDX-License-Identifier: Apache-2.0
//
// Notifies systemd of teald's state (sd_notify(3)). Without systemd the functions do nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace teal {

class ServiceManager {
 public:
  ServiceManager();

  void ready();
  void reloading();  // ready() ends the reload
  void stopping();
  void status(const std::string& text);
  void alive();  // for the watchdog

  // The interval for calls of alive(): half of the unit's WatchdogSec. nullopt: the unit has no watchdog.
  const std::optional<std::chrono::microseconds>& alive_every() const { return alive_every_; }

 private:
  std::optional<std::chrono::microseconds> alive_every_;
  std::string status_;
};

}  // namespace teal
