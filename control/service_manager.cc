// SPDX-License-Identifier: Apache-2.0
#include "control/service_manager.h"

#include <ctime>

#include <fmt/format.h>
#include <systemd/sd-daemon.h>

namespace teal {

ServiceManager::ServiceManager() {
  uint64_t interval_us = 0;
  if (sd_watchdog_enabled(0, &interval_us) > 0) alive_every_ = std::chrono::microseconds(interval_us / 2);
}

void ServiceManager::ready() {
  sd_notify(0, "READY=1");
}

// Type=notify-reload (systemd 253) also needs the time; older versions ignore it.
void ServiceManager::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const auto us = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", us).c_str());
}

void ServiceManager::stopping() {
  sd_notify(0, "STOPPING=1");
}

void ServiceManager::status(const std::string& text) {
  if (text == status_) return;
  status_ = text;
  sd_notify(0, ("STATUS=" + text).c_str());
}

void ServiceManager::alive() {
  sd_notify(0, "WATCHDOG=1");
}

}  // namespace teal
