// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/steering.h"

#include <cstring>

#include <spdlog/spdlog.h>

namespace teal {

namespace {

steer_socket to_steer(const Socket& socket) {
  steer_socket key{};
  std::memcpy(key.address, socket.address.bytes, sizeof(key.address));
  key.port_be = socket.port.raw;
  key.protocol = socket.protocol;
  return key;
}

}  // namespace

void Steering::want(const Inventory& inventory) {
  wanted_.vips.clear();
  wanted_.backends.clear();
  for (const ServiceState& service : inventory.services) {
    wanted_.vips.push_back(to_steer(service.vip));
    if (service.preview) wanted_.vips.push_back(to_steer(*service.preview));
  }
  for (const BackendState& backend : inventory.backends) wanted_.backends.push_back(to_steer(backend.socket));
}

bool Steering::want_local(const std::vector<IpAddress>& addresses) {
  std::vector<steer_address> keys;
  for (const IpAddress& address : addresses) {
    steer_address key{};
    std::memcpy(key.bytes, address.bytes, sizeof(key.bytes));
    keys.push_back(key);
  }
  const auto bytes = [](const std::vector<steer_address>& set) { return set.size() * sizeof(steer_address); };
  const std::vector<steer_address>& known = wanted_.local_addresses;
  if (keys.size() == known.size() &&
      (keys.empty() || std::memcmp(keys.data(), known.data(), bytes(keys)) == 0))
    return false;
  wanted_.local_addresses = std::move(keys);
  return true;
}

void Steering::add() {
  cleanup_due_ = true;
  auto maps = SteerMaps::open(pin_dir_);
  const auto added = maps ? maps->add_missing(wanted_) : tl::unexpected(maps.error());
  report(added ? "" : added.error());
}

void Steering::clean_up() {
  auto maps = SteerMaps::open(pin_dir_);
  // Adds missing entries once more: add() may have failed.
  auto done = maps ? maps->add_missing(wanted_) : tl::unexpected(maps.error());
  if (done) done = maps->remove_others(wanted_);
  cleanup_due_ = !done;
  report(done ? "" : done.error());
}

std::optional<SteerCounters> Steering::counters() const {
  const auto maps = SteerMaps::open(pin_dir_);
  if (!maps) return std::nullopt;
  const auto counters = maps->counters();
  return counters ? std::optional(*counters) : std::nullopt;
}

void Steering::report(const std::string& error) {
  if (error == reported_) return;
  reported_ = error;
  if (error.empty()) {
    spdlog::info("steering: the maps in {} are up to date", pin_dir_);
  } else {
    spdlog::error("steering: {}; packets of new services go to the kernel until this works", error);
  }
}

}  // namespace teal
