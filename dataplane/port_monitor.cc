// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port_monitor.h"

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <rte_ethdev.h>
#include <spdlog/spdlog.h>

#include "bpf/steer_loader.h"
#include "dataplane/config/host_devices.h"

namespace teal {
namespace {

// An AF_XDP port has an ethdev for each queue, any other port has one for all queues.
bool is_first_of_ethdev(const Port& port, size_t queue) {
  return queue == 0 || port.queues[queue].ethdev != port.queues[queue - 1].ethdev;
}

NicCounters counters_of(const Port& port) {
  NicCounters sums{};
  for (size_t queue = 0; queue < port.queues.size(); ++queue) {
    rte_eth_stats stats{};
    if (!is_first_of_ethdev(port, queue) || rte_eth_stats_get(port.queues[queue].ethdev, &stats) != 0)
      continue;
    const NicCounters of_ethdev = nic_counters(stats);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += of_ethdev[i];
  }
  return sums;
}

LossLog::Losses losses_of(const NicCounters& counters) {
  LossLog::Losses losses{};
  for (size_t i = 0; i < losses.size(); ++i) losses[i] = counters[static_cast<size_t>(kNicLosses[i])];
  return losses;
}

struct Link {
  LinkState state = LinkState::kUnknown;
  uint32_t speed_mbps = 0;
};

// DPDK's AF_XDP driver always says that the link is up, so the kernel is asked about the interfaces that it
// keeps.
Link link_of(const Port& port) {
  const auto state = [](bool up) { return up ? LinkState::kUp : LinkState::kDown; };
  if (port.tap == nullptr && !port.interface.empty()) {
    const auto up = has_link(port.interface);
    return {up ? state(*up) : LinkState::kUnknown, 0};
  }
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(port.queues.front().ethdev, &link) != 0) return {};
  return {state(link.link_status == RTE_ETH_LINK_UP),
          link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed};
}

void link_changed(const Port& port, const Link& link) {
  if (link.state == LinkState::kUp)
    spdlog::info("port {}: link up{}", port.name,
                 link.speed_mbps == 0 ? "" : fmt::format(", {} Mbit/s", link.speed_mbps));
  else if (link.state == LinkState::kDown)
    spdlog::warn("port {}: link down", port.name);
  if (port.tap != nullptr) port.tap->set_carrier(link.state != LinkState::kDown);
}

}  // namespace

NicCounters nic_counters(const rte_eth_stats& stats) {
  NicCounters counters{};
  const auto set = [&](NicCounter counter, uint64_t value) {
    counters[static_cast<size_t>(counter)] = value;
  };
  set(NicCounter::k_rx_packets, stats.ipackets);
  set(NicCounter::k_tx_packets, stats.opackets);
  set(NicCounter::k_rx_bytes, stats.ibytes);
  set(NicCounter::k_tx_bytes, stats.obytes);
  set(NicCounter::k_rx_missed, stats.imissed);
  set(NicCounter::k_rx_errors, stats.ierrors);
  set(NicCounter::k_tx_errors, stats.oerrors);
  set(NicCounter::k_rx_no_buffers, stats.rx_nombuf);
  return counters;
}

void PortMonitor::follow_macs() {
  for (size_t at = 0; at < ports_.size(); ++at) {
    const Port& port = ports_[at];
    const auto mac = present_mac(port);
    const MacAddress before = macs_.of(port.id);
    if (!mac || *mac == before) continue;
    // The program first: a worker of a steered port takes what the program gives to it.
    if (port.steered) {
      if (const auto set = set_steering_mac(port.interface, steer_mac_of(*mac)); !set) {
        if (std::exchange(refused_macs_[at], *mac) != *mac)
          spdlog::error("port {}: packets to the new MAC address {:02x} go to the kernel: {}", port.name,
                        fmt::join(mac->bytes, ":"), set.error());
        continue;
      }
    }
    std::copy_n(mac->bytes, sizeof(mac->bytes), header_.ports[port.id].mac);
    macs_.set(port.id, *mac);
    spdlog::info("port {}: the MAC address changed from {:02x} to {:02x}", port.name,
                 fmt::join(before.bytes, ":"), fmt::join(mac->bytes, ":"));
  }
}

void PortMonitor::look() {
  follow_macs();
  const auto now = std::chrono::steady_clock::now();
  for (size_t at = 0; at < ports_.size(); ++at) {
    const Port& port = ports_[at];
    PortRow& row = header_.ports[port.id];
    const Link link = link_of(port);
    row.speed_mbps.store(link.speed_mbps, std::memory_order_relaxed);
    if (row.link.exchange(link.state, std::memory_order_relaxed) != link.state) link_changed(port, link);
    const NicCounters counters = counters_of(port);
    for (size_t i = 0; i < counters.size(); ++i)
      row.counters[i].store(counters[i], std::memory_order_relaxed);
    if (const std::string lost = loss_logs_[at].look(losses_of(counters), now); !lost.empty())
      spdlog::warn("port {}: {}", port.name, lost);
  }
}

}  // namespace teal
