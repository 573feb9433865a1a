// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/host_devices.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace teal {
namespace {

namespace fs = std::filesystem;

// These drivers give a device to DPDK.
constexpr std::string_view kVfio = "vfio-pci";
constexpr std::string_view kForDpdk[] = {kVfio, "uio_pci_generic", "igb_uio"};
// DPDK shares a device with these drivers of the kernel.
constexpr std::string_view kShared[] = {"mlx4_core", "mlx5_core"};

// Returns the last part of what a link points to; "" without a link.
std::string link_target(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).filename().string();
}

// Returns whether vfio gives a group to a device that has none: the kernel then binds it without an IOMMU.
bool makes_groups_itself(const HostRoots& roots) {
  std::string value;
  std::getline(std::ifstream(roots.sys + "/module/vfio/parameters/enable_unsafe_noiommu_mode"), value);
  return value == "Y";
}

// Tells of a device without an IOMMU group. The kernel gives a group to each device behind an IOMMU in use,
// whatever driver the device has. It refuses to bind a device without a group to vfio-pci (EINVAL).
std::string no_iommu(const std::string& address) {
  return fmt::format(
      "; this host has no IOMMU in use, so `dpdk-devbind.py --bind=vfio-pci` would fail: switch the IOMMU on "
      "(in the firmware, and intel_iommu=on or amd_iommu=on on the kernel's command line), or run "
      "`dpdk-devbind.py --bind=uio_pci_generic {}`, or set enable_unsafe_noiommu_mode=1 of the module vfio",
      address);
}

std::string why_not_opened(const std::string& path) {
  if (eaccess(path.c_str(), R_OK | W_OK) == 0) return "";
  return fmt::format("cannot open {} as uid {}: {}; give the file to the user of teal-dataplane", path,
                     geteuid(), std::strerror(errno));
}

// Asks the kernel about an interface: `request` is an ioctl() of netdevice(7). Returns 0 or the errno.
int ask_kernel(const std::string& interface, unsigned long request, ifreq& about) {
  interface.copy(about.ifr_name, IFNAMSIZ - 1);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int error = ioctl(fd, request, &about) == 0 ? 0 : errno;
  close(fd);
  return error;
}

// Returns 0 or the errno.
int ask_ethtool(const std::string& interface, void* request) {
  ifreq about{};
  about.ifr_data = static_cast<char*>(request);
  return ask_kernel(interface, SIOCETHTOOL, about);
}

std::string problem_of(const PortOptions& port, uint32_t workers, const HostRoots& roots) {
  if (port.kind == DeviceKind::kPci) return why_pci_unusable(port.device, Access::kSomebody, roots);
  if (port.kind == DeviceKind::kVdev) return "";
  const auto queues = receive_queues(port.device);
  if (!queues) return queues.error();
  return port.kind == DeviceKind::kAfXdp ? queue_error(port.device, *queues, workers) : "";
}

}  // namespace

std::string why_pci_unusable(const std::string& address, Access access, const HostRoots& roots) {
  const fs::path device = fs::path(roots.sys) / "bus/pci/devices" / address;
  std::error_code error;
  if (!fs::exists(device, error)) return fmt::format("this host has no PCI device {}", address);
  const std::string driver = link_target(device / "driver");
  const std::string group = link_target(device / "iommu_group");
  const auto is_one_of = [&](auto& drivers) {
    return std::find(std::begin(drivers), std::end(drivers), driver) != std::end(drivers);
  };
  if (is_one_of(kShared)) return "";
  if (!is_one_of(kForDpdk)) {
    const std::string owner =
        driver.empty() ? fmt::format("no driver has PCI device {}", address)
                       : fmt::format("PCI device {} belongs to the kernel's driver {}", address, driver);
    if (group.empty() && !makes_groups_itself(roots)) return owner + no_iommu(address);
    return fmt::format("{}: run `dpdk-devbind.py --bind=vfio-pci {}`", owner, address);
  }
  if (driver != kVfio) return "";
  if (access == Access::kSomebody) return "";
  if (std::string why = why_not_opened(roots.dev + "/vfio/vfio"); !why.empty()) return why;
  const std::string file = roots.dev + "/vfio/" + group;
  return fs::exists(file, error) ? why_not_opened(file) : "";
}

std::string queue_error(const std::string& interface, uint32_t queues, uint32_t workers) {
  if (queues >= workers) return "";
  return fmt::format(
      "queues of {0}: {1}, expected one for each of {2} workers: run `ethtool -L {0} combined {2}`, or set "
      "fewer workers",
      interface, queues, workers);
}

tl::expected<uint32_t, std::string> receive_queues(const std::string& interface) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  const int error = ask_ethtool(interface, &channels);
  if (error == 0) return std::max(1u, channels.rx_count + channels.combined_count);
  if (error == EOPNOTSUPP) return 1;  // a driver without channels has one queue
  return tl::unexpected(fmt::format("interface {}: {}", interface, std::strerror(error)));
}

std::optional<bool> has_link(const std::string& interface) {
  ethtool_value link{};
  link.cmd = ETHTOOL_GLINK;
  if (ask_ethtool(interface, &link) != 0) return std::nullopt;
  return link.data != 0;
}

std::optional<MacAddress> mac_of(const std::string& interface) {
  ifreq about{};
  if (ask_kernel(interface, SIOCGIFHWADDR, about) != 0) return std::nullopt;
  MacAddress mac;
  std::memcpy(mac.bytes, about.ifr_hwaddr.sa_data, sizeof(mac.bytes));
  return mac;
}

std::string room_error(const DataplaneOptions& options,
                       const std::function<uint32_t(const std::string& interface)>& queues_of) {
  const uint32_t at_least = dpdk_devices_of(options);
  uint32_t devices = at_least;
  for (const PortOptions& port : options.ports)
    if (port.kind == DeviceKind::kAfXdp)
      devices += std::max(queues_of(port.device), options.workers) - options.workers;
  if (at_least > kMaxDpdkDevices || devices <= kMaxDpdkDevices) return "";
  return fmt::format(
      "the ports need {} devices of DPDK, expected at most {}: an AF_XDP port takes one for each queue of "
      "its interface: run `ethtool -L INTERFACE combined {}`",
      devices, kMaxDpdkDevices, options.workers);
}

std::vector<std::string> device_problems(const DataplaneOptions& options, const HostRoots& roots) {
  std::vector<std::string> problems;
  for (const PortOptions& port : options.ports) {
    if (const std::string problem = problem_of(port, options.workers, roots); !problem.empty())
      problems.push_back(fmt::format("port {}: {}", port.name, problem));
  }
  const auto queues_of = [](const std::string& interface) { return receive_queues(interface).value_or(0); };
  if (std::string error = room_error(options, queues_of); !error.empty())
    problems.push_back(std::move(error));
  return problems;
}

}  // namespace teal
