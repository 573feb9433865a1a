// SPDX-License-Identifier: Apache-2.0
//
// What systemd is told (sd_notify(3)). All of it does nothing where teald was started by hand.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace teal {

class ServiceManager {
 public:
  ServiceManager();

  void ready();
  void reloading();  // ready() ends it
  void stopping();
  void status(const std::string& text);
  void alive();  // the watchdog's sign of life

  // How often alive() is due: half of what the unit's WatchdogSec gives. Nothing: nobody asks.
  const std::optional<std::chrono::microseconds>& alive_every() const { return alive_every_; }

 private:
  std::optional<std::chrono::microseconds> alive_every_;
  std::string status_;
};

}  // namespace teal
