// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port.h"

#include <net/if.h>
#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <spdlog/spdlog.h>

#include "bpf/steer_loader.h"
#include "dataplane/config/host_devices.h"

namespace teal {
namespace {

constexpr uint16_t kDescriptors = 2048;  // the AF_XDP driver's rings hold no more; other drivers adjust it

// Probes a vdev, which may be one AF_XDP queue. `device` is DPDK's name of the vdev. Returns the ethdev.
tl::expected<uint16_t, std::string> probe_vdev(const std::string& device, const std::string& arguments) {
  if (const int error = rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()); error != 0)
    return tl::unexpected(
        fmt::format("DPDK's driver refuses the device {},{}: {}", device, arguments, rte_strerror(-error)));
  uint16_t ethdev = 0;
  if (rte_eth_dev_get_port_by_name(device.c_str(), &ethdev) != 0)
    return tl::unexpected(fmt::format("DPDK's driver made no Ethernet device of {}", device));
  return ethdev;
}

// EAL has probed the device at its start. A second try tells why it failed.
tl::expected<uint16_t, std::string> probe_pci(const std::string& address) {
  uint16_t ethdev = 0;
  if (rte_eth_dev_get_port_by_name(address.c_str(), &ethdev) == 0) return ethdev;
  if (const std::string why = why_pci_unusable(address, Access::kThisProcess); !why.empty())
    return tl::unexpected(why);
  if (const int error = rte_eal_hotplug_add("pci", address.c_str(), ""); error != 0)
    return tl::unexpected(fmt::format(
        "DPDK refuses the PCI device {}: {}; EAL's lines above say more{}", address, rte_strerror(-error),
        rte_eal_iova_mode() == RTE_IOVA_VA ? ". EAL uses virtual addresses, which uio_pci_generic cannot"
                                           : ""));
  if (rte_eth_dev_get_port_by_name(address.c_str(), &ethdev) == 0) return ethdev;
  return tl::unexpected(fmt::format("PCI device {} is not an Ethernet device", address));
}

tl::expected<void, std::string> open_af_xdp(Port& port, const PortOptions& options, uint32_t workers,
                                            rte_mempool* pool, const std::string& pin_dir) {
  const auto queues = receive_queues(port.interface);
  if (!queues) return tl::unexpected(queues.error());
  if (const std::string error = queue_error(port.interface, *queues, workers); !error.empty())
    return tl::unexpected(error);
  const auto mac = mac_of(port.interface);
  if (!mac)
    return tl::unexpected(fmt::format("the kernel does not tell the MAC address of {}", port.interface));
  // Not from the ethdev: a later change is a difference to what the program knows.
  port.mac = *mac;
  const auto steering = attach_steering(port.interface, options.side, steer_mac_of(*mac), pin_dir);
  if (!steering) return tl::unexpected(steering.error());
  spdlog::info("port {}: steering program {} {} on {}, {} mode", port.name, steering->program_id,
               steering->replaced ? "replaced in place" : "attached", port.interface,
               steering->mode == XdpMode::kNative ? "native" : "generic");
  if (!steering->native_refusal.empty())
    spdlog::warn("port {}: generic XDP is slow; the driver of {} refused native mode: {}", port.name,
                 port.interface, steering->native_refusal);
  else if (steering->mode == XdpMode::kGeneric)
    spdlog::warn(
        "port {}: generic XDP is slow, and stays until the program is detached: stop, "
        "\"teal-dataplane --detach\" and start to try native mode again",
        port.name);
  port.steered = true;
  for (uint32_t queue = 0; queue < *queues; ++queue) {
    // With busy_budget=0 an empty poll makes no system call.
    const auto ethdev =
        probe_vdev(fmt::format("net_af_xdp_{}_{}", port.id, queue),
                   fmt::format("iface={},start_queue={},queue_count=1,busy_budget=0", port.interface, queue));
    if (!ethdev) return tl::unexpected(ethdev.error());
    if (const auto started = start_ethdev(*ethdev, 1, pool); !started) return tl::unexpected(started.error());
    port.queues.push_back({*ethdev, 0});
  }
  return {};
}

// Starts one ethdev with a queue pair for each worker.
tl::expected<void, std::string> open_multi_queue(Port& port, uint16_t ethdev, uint32_t workers,
                                                 rte_mempool* pool) {
  const auto started = start_ethdev(ethdev, static_cast<uint16_t>(workers), pool);
  if (!started) return tl::unexpected(started.error());
  port.spreads = *started;
  for (uint32_t queue = 0; queue < workers; ++queue)
    port.queues.push_back({ethdev, static_cast<uint16_t>(queue)});
  return {};
}

tl::expected<void, std::string> open_device(Port& port, const PortOptions& options, uint32_t workers,
                                            rte_mempool* pool, const std::string& pin_dir) {
  switch (options.kind) {
    case DeviceKind::kAfXdp:
      return open_af_xdp(port, options, workers, pool, pin_dir);
    case DeviceKind::kAfPacket: {
      port.kernel_has_own_copy = true;
      const auto ethdev = probe_vdev(fmt::format("net_af_packet{}", port.id),
                                     fmt::format("iface={},qpairs={}", port.interface, workers));
      if (!ethdev) return tl::unexpected(ethdev.error());
      return open_multi_queue(port, *ethdev, workers, pool);
    }
    case DeviceKind::kVdev: {
      const size_t comma = options.device.find(',');
      const auto ethdev = probe_vdev(options.device.substr(0, comma),
                                     comma == std::string::npos ? "" : options.device.substr(comma + 1));
      if (!ethdev) return tl::unexpected(ethdev.error());
      return open_multi_queue(port, *ethdev, workers, pool);
    }
    case DeviceKind::kPci: {
      const auto ethdev = probe_pci(options.device);
      if (!ethdev) return tl::unexpected(ethdev.error());
      return open_multi_queue(port, *ethdev, workers, pool);
    }
  }
  return tl::unexpected(std::string("unknown kind of device"));
}

}  // namespace

steer_mac steer_mac_of(const MacAddress& mac) {
  steer_mac words;
  static_assert(sizeof(words) == sizeof(mac.bytes));
  std::memcpy(&words, mac.bytes, sizeof(words));
  return words;
}

// DPDK's driver keeps the MAC address that an interface of the kernel had at the start.
std::optional<MacAddress> present_mac(const Port& port) {
  if (port.tap == nullptr && !port.interface.empty()) return mac_of(port.interface);
  rte_ether_addr address;
  if (rte_eth_macaddr_get(port.queues.front().ethdev, &address) != 0) return std::nullopt;
  MacAddress mac;
  std::copy_n(address.addr_bytes, 6, mac.bytes);
  return mac;
}

tl::expected<bool, std::string> start_ethdev(uint16_t ethdev, uint16_t queues, rte_mempool* pool) {
  const auto failed = [&](const char* what, int error) {
    return tl::unexpected(fmt::format("{}, queues: {}: {}", what, queues, rte_strerror(-error)));
  };
  rte_eth_dev_info info;
  if (const int error = rte_eth_dev_info_get(ethdev, &info); error != 0) return failed("device info", error);
  if (std::min(info.max_rx_queues, info.max_tx_queues) < queues)
    return tl::unexpected(fmt::format(
        "receive queues of the device: {}, transmit queues: {}, expected one of each for each of {} workers: "
        "set fewer workers",
        info.max_rx_queues, info.max_tx_queues, queues));
  rte_eth_conf conf{};
  if (queues > 1) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf =
        (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
    if (conf.rx_adv_conf.rss_conf.rss_hf == 0) conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
  }
  if (const int error = rte_eth_dev_configure(ethdev, queues, queues, &conf); error != 0)
    return failed("configure", error);
  uint16_t receive = kDescriptors, transmit = kDescriptors;
  if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &receive, &transmit); error != 0)
    return failed("descriptors", error);
  const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(ethdev));
  for (uint16_t queue = 0; queue < queues; ++queue) {
    if (const int error = rte_eth_rx_queue_setup(ethdev, queue, receive, socket, nullptr, pool); error != 0)
      return failed("receive queue", error);
    if (const int error = rte_eth_tx_queue_setup(ethdev, queue, transmit, socket, nullptr); error != 0)
      return failed("transmit queue", error);
  }
  if (const int error = rte_eth_dev_start(ethdev); error != 0) return failed("start", error);
  return queues == 1 || conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS;
}

tl::expected<Port, std::string> open_port(const PortOptions& options, uint16_t id, uint32_t workers,
                                          rte_mempool* pool, const std::string& pin_dir) {
  Port port;
  port.id = id;
  port.name = options.name;
  port.side = options.side;
  if (options.kind == DeviceKind::kAfXdp || options.kind == DeviceKind::kAfPacket) {
    port.interface = options.device;
    port.ifindex = if_nametoindex(port.interface.c_str());
    if (port.ifindex == 0)
      return tl::unexpected(
          fmt::format("port {}: no interface {} in this network namespace", port.name, port.interface));
  }
  if (auto opened = open_device(port, options, workers, pool, pin_dir); !opened)
    return tl::unexpected(fmt::format("port {}: {}", port.name, opened.error()));
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port.queues.front().ethdev, &info) == 0) port.driver = info.driver_name;
  if (!port.steered) port.mac = present_mac(port).value_or(MacAddress{});
  // The kernel sets the filters of interfaces that it keeps. A NIC that DPDK owns receives frames to its MAC;
  // its TAP needs multicast (ND), too.
  if (port.ifindex == 0) rte_eth_allmulticast_enable(port.queues.front().ethdev);
  return port;
}

tl::expected<std::vector<uint16_t>, std::string> assign_port_rows(Segment& segment,
                                                                  std::span<const PortOptions> ports) {
  auto& names = segment.flows().port_names;
  const auto row_of = [&](std::string_view name) {
    return std::find_if(std::begin(names), std::end(names), [&](const char* known) { return name == known; });
  };
  for (uint32_t id = 0; id < kMaxPorts; ++id) {
    PortRow& row = segment.header().ports[id];
    row.present = 0;
    row.ifindex = 0;
    std::memcpy(row.name, names[id], sizeof(row.name));
  }
  std::vector<uint16_t> ids;
  for (const PortOptions& port : ports) {
    auto* name = row_of(port.name);
    if (name == std::end(names)) name = row_of("");
    if (name == std::end(names))
      return tl::unexpected(fmt::format(
          "port {}: there is room for {} port names, and all are taken (a renamed port keeps its old "
          "row; remove the file of the flows to free the rows)",
          port.name, kMaxPorts));
    const auto id = static_cast<uint16_t>(name - std::begin(names));
    std::memset(*name, 0, sizeof(*name));
    port.name.copy(*name, sizeof(*name) - 1);
    PortRow& row = segment.header().ports[id];
    std::memcpy(row.name, *name, sizeof(row.name));
    row.present = 1;
    ids.push_back(id);
  }
  return ids;
}

void fill_port_row(PortRow& row, const Port& port) {
  std::memset(row.interface, 0, sizeof(row.interface));
  port.interface.copy(row.interface, sizeof(row.interface) - 1);
  row.ifindex = port.ifindex;
  std::copy_n(port.mac.bytes, 6, row.mac);
  row.side = port.side;
  std::memset(row.driver, 0, sizeof(row.driver));
  port.driver.copy(row.driver, sizeof(row.driver) - 1);
  row.queues = static_cast<uint16_t>(port.queues.size());
  row.spreads = port.spreads;
  row.owned = port.tap != nullptr;
  row.link.store(LinkState::kUnknown, std::memory_order_relaxed);
}

std::string description_of(const Port& port) {
  return fmt::format("port {}: driver {}, queues: {}, MAC {:02x}{}", port.name, port.driver,
                     port.queues.size(), fmt::join(port.mac.bytes, ":"),
                     port.tap == nullptr ? "" : fmt::format(", TAP {}", port.tap->interface()));
}

static_assert(kMaxDpdkDevices <= RTE_MAX_ETHPORTS);

std::vector<PortTraits> traits_by_ethdev(std::span<const Port> ports) {
  std::vector<PortTraits> traits(RTE_MAX_ETHPORTS);
  for (const Port& port : ports) {
    for (const PortQueue& queue : port.queues) {
      traits[queue.ethdev] = {
          .hop_prefix = Hop::word_of(port.id, 0), .id = port.id, .side = port.side, .steered = port.steered};
    }
  }
  return traits;
}

}  // namespace teal
