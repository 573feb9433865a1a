// SPDX-License-Identifier: Apache-2.0
#include "dataplane/punt.h"

#include <net/if.h>

#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <spdlog/spdlog.h>

namespace teal {
namespace {

// A punted packet's source address is not routed by way of the TAP, so strict reverse-path filtering would
// drop the packet. The kernel uses the stricter of the value of `all` and the interface's own value.
void turn_off_reverse_path_filter(const std::string& interface) {
  const std::string path = fmt::format("/proc/sys/net/ipv4/conf/{}/rp_filter", interface);
  if (!(std::ofstream(path) << "0\n").flush())
    spdlog::warn("cannot set {} to 0: the kernel may drop punted packets", path);
  int all = 0;
  std::ifstream("/proc/sys/net/ipv4/conf/all/rp_filter") >> all;
  if (all == 1)
    spdlog::warn(
        "net.ipv4.conf.all.rp_filter is 1 (strict), so the kernel drops punted packets; set it to 0 or 2");
}

constexpr char kSharedTap[] = "teal0";

// Opens DPDK's driver on the TAP, with a queue for each worker. `mac` is null if the TAP may choose its own.
tl::expected<Punt::OpenTap, std::string> open_queues(const std::string& interface, uint16_t port_id,
                                                     const MacAddress* mac, uint32_t workers,
                                                     rte_mempool* pool) {
  const std::string device = fmt::format("net_tap_port{}", port_id);
  std::string arguments = fmt::format("iface={}", interface);
  if (mac != nullptr) arguments += fmt::format(",mac={:02x}", fmt::join(mac->bytes, ":"));
  if (const int error = rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()); error != 0)
    return tl::unexpected(
        fmt::format("TAP {}: {} (it needs /dev/net/tun, and no other dataplane may have it)", interface,
                    rte_strerror(-error)));
  Punt::OpenTap tap;
  rte_eth_dev_get_port_by_name(device.c_str(), &tap.ethdev);
  if (auto started = start_ethdev(tap.ethdev, static_cast<uint16_t>(workers), pool); !started)
    return tl::unexpected(fmt::format("TAP {}: {}", interface, started.error()));
  rte_ether_addr address;
  rte_eth_macaddr_get(tap.ethdev, &address);
  std::copy_n(address.addr_bytes, 6, tap.mac.bytes);
  turn_off_reverse_path_filter(interface);
  return tap;
}

}  // namespace

tl::expected<Punt, std::string> Punt::create(std::span<Port> ports, const std::string& instance,
                                             uint32_t workers, rte_mempool* pool) {
  std::vector<OpenTap> taps;
  TapOfPort tap_of_port = no_taps();
  uint8_t shared = kNoTap;
  for (Port& port : ports) {
    if (port.kernel_has_own_copy) {
      tap_of_port[port.id] = kOwnCopy;
      continue;
    }
    if (port.steered && shared != kNoTap) {
      tap_of_port[port.id] = shared;
      continue;
    }
    const auto index = static_cast<uint8_t>(taps.size());
    if (port.steered) {
      shared = index;
    } else {
      auto tap = Tap::open({instance, port.name, fmt::format("teal{}", index)});
      if (!tap) return tl::unexpected(fmt::format("port {}: {}", port.name, tap.error()));
      port.tap = std::move(*tap);
      port.interface = port.tap->interface();
      port.ifindex = if_nametoindex(port.interface.c_str());
    }
    auto opened = open_queues(port.steered ? kSharedTap : port.interface, port.id,
                              port.steered ? nullptr : &port.mac, workers, pool);
    if (!opened) return tl::unexpected(fmt::format("port {}: {}", port.name, opened.error()));
    if (port.tap != nullptr) {
      if (auto done = port.tap->take_control(); !done)
        return tl::unexpected(fmt::format("port {}: {}", port.name, done.error()));
    }
    opened->shared = port.steered;
    opened->port_ethdev = port.queues.front().ethdev;
    taps.push_back(*opened);
    tap_of_port[port.id] = index;
  }
  return Punt(std::move(taps), tap_of_port);
}

uint32_t Punt::send(uint16_t port_id, uint64_t port_mac, uint32_t worker, std::span<rte_mbuf*> mbufs) const {
  const uint8_t index = tap_of_port_[port_id];
  uint32_t sent = 0;
  if (index < taps_.size()) {
    const OpenTap& tap = taps_[index];
    if (tap.shared) {
      for (rte_mbuf* mbuf : mbufs) {
        auto* frame = rte_pktmbuf_mtod(mbuf, uint8_t*);
        if (load_mac(frame) == port_mac) __builtin_memcpy(frame, tap.mac.bytes, 6);
      }
    }
    sent = rte_eth_tx_burst(tap.ethdev, static_cast<uint16_t>(worker), mbufs.data(),
                            static_cast<uint16_t>(mbufs.size()));
  }
  if (sent < mbufs.size())
    rte_pktmbuf_free_bulk(mbufs.data() + sent, static_cast<unsigned>(mbufs.size() - sent));
  return index == kOwnCopy ? static_cast<uint32_t>(mbufs.size()) : sent;
}

Punt::Relayed Punt::relay(uint32_t worker) const {
  const auto queue = static_cast<uint16_t>(worker);
  Relayed relayed;
  for (const OpenTap& tap : taps_) {
    if (tap.shared) continue;
    rte_mbuf* mbufs[Burst::kCapacity];
    const uint16_t received = rte_eth_rx_burst(tap.ethdev, queue, mbufs, Burst::kCapacity);
    if (received == 0) continue;
    const uint16_t sent = rte_eth_tx_burst(tap.port_ethdev, queue, mbufs, received);
    if (sent < received) rte_pktmbuf_free_bulk(mbufs + sent, received - sent);
    relayed.received += received;
    relayed.sent += sent;
  }
  return relayed;
}

}  // namespace teal
