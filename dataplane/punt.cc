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

std::string interface_of(uint32_t tap_number) {
  return fmt::format("teal{}", tap_number);
}

}  // namespace

tl::expected<Punt::Tap, std::string> Punt::open_tap(uint32_t number, const MacAddress* mac, uint32_t workers,
                                                    rte_mempool* pool) {
  const std::string interface = interface_of(number);
  const std::string device = fmt::format("net_tap{}", number);
  std::string arguments = fmt::format("iface={}", interface);
  if (mac != nullptr) arguments += fmt::format(",mac={:02x}", fmt::join(mac->bytes, ":"));
  if (const int error = rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()); error != 0)
    return tl::unexpected(
        fmt::format("TAP port {}: {} (it needs /dev/net/tun, and no other dataplane may have it)", interface,
                    rte_strerror(-error)));
  Tap tap;
  rte_eth_dev_get_port_by_name(device.c_str(), &tap.ethdev);
  if (auto started = start_ethdev(tap.ethdev, static_cast<uint16_t>(workers), pool); !started)
    return tl::unexpected(fmt::format("TAP port {}: {}", interface, started.error()));
  rte_ether_addr address;
  rte_eth_macaddr_get(tap.ethdev, &address);
  std::copy_n(address.addr_bytes, 6, tap.mac.bytes);
  turn_off_reverse_path_filter(interface);
  return tap;
}

tl::expected<Punt, std::string> Punt::create(std::span<Port> ports, uint32_t workers, rte_mempool* pool) {
  std::vector<Tap> taps;
  TapOfPort tap_of_port = no_taps();
  uint8_t shared = kNoTap;
  for (Port& port : ports) {
    if (port.kernel_has_own_copy) {
      tap_of_port[port.id] = kOwnCopy;
      continue;
    }
    if (!port.steered || shared == kNoTap) {
      auto tap =
          open_tap(static_cast<uint32_t>(taps.size()), port.steered ? nullptr : &port.mac, workers, pool);
      if (!tap) return tl::unexpected(tap.error());
      tap->shared = port.steered;
      tap->relay_to = port.queues.front();
      if (!port.steered) {
        port.interface = interface_of(static_cast<uint32_t>(taps.size()));
        port.ifindex = if_nametoindex(port.interface.c_str());
      }
      taps.push_back(*tap);
      if (port.steered) shared = static_cast<uint8_t>(taps.size() - 1);
    }
    tap_of_port[port.id] = port.steered ? shared : static_cast<uint8_t>(taps.size() - 1);
  }
  return Punt(std::move(taps), tap_of_port);
}

uint32_t Punt::send(uint16_t port_id, uint32_t worker, std::span<rte_mbuf*> mbufs) const {
  const uint8_t index = tap_of_port_[port_id];
  uint32_t sent = 0;
  if (index < taps_.size()) {
    const Tap& tap = taps_[index];
    if (tap.shared) {
      for (rte_mbuf* mbuf : mbufs) __builtin_memcpy(rte_pktmbuf_mtod(mbuf, uint8_t*), tap.mac.bytes, 6);
    }
    sent = rte_eth_tx_burst(tap.ethdev, static_cast<uint16_t>(worker), mbufs.data(),
                            static_cast<uint16_t>(mbufs.size()));
  }
  if (sent < mbufs.size())
    rte_pktmbuf_free_bulk(mbufs.data() + sent, static_cast<unsigned>(mbufs.size() - sent));
  return index == kOwnCopy ? static_cast<uint32_t>(mbufs.size()) : sent;
}

Punt::Relayed Punt::relay() const {
  Relayed relayed;
  for (const Tap& tap : taps_) {
    if (tap.shared) continue;
    rte_mbuf* mbufs[Burst::kCapacity];
    const uint16_t received = rte_eth_rx_burst(tap.ethdev, 0, mbufs, Burst::kCapacity);
    if (received == 0) continue;
    const uint16_t sent = rte_eth_tx_burst(tap.relay_to.ethdev, tap.relay_to.queue, mbufs, received);
    if (sent < received) rte_pktmbuf_free_bulk(mbufs + sent, received - sent);
    relayed.received += received;
    relayed.sent += sent;
  }
  return relayed;
}

}  // namespace teal
