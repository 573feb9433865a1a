// SPDX-License-Identifier: Apache-2.0
//
// Looks at the devices of the ports from outside of DPDK, by sysfs and by ethtool. The findings explain
// why DPDK refuses a device, and let `teal check` find mistakes before a start.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/config/options.h"
#include "dataplane/packet/rewrite.h"

namespace teal {

// Where the kernel shows its devices. Tests have their own.
struct HostRoots {
  std::string sys = "/sys";
  std::string dev = "/dev";
};

enum class Access : uint8_t {
  kThisProcess,  // this process must be able to open the device
  kSomebody,     // another user may be the one who opens it
};

// Returns why DPDK cannot use a PCI device, and what to do; "" if nothing is known against it.
std::string why_pci_unusable(const std::string& address, Access access, const HostRoots& roots = {});

// Returns how many queues of the kernel's interface receive. The error names the interface.
tl::expected<uint32_t, std::string> receive_queues(const std::string& interface);

// Returns whether the kernel's interface has a link; nothing if the kernel does not say.
std::optional<bool> has_link(const std::string& interface);

// Returns the MAC address of the kernel's interface; nothing if the kernel does not say.
std::optional<MacAddress> mac_of(const std::string& interface);

// Returns why an AF_XDP port on an interface with `queues` queues cannot serve the workers; "" if it can.
std::string queue_error(const std::string& interface, uint32_t queues, uint32_t workers);

// Returns why DPDK has no room for the devices of these ports: an AF_XDP port takes one for each queue of its
// interface. "": it has room, or the options alone say that it has none (dpdk_devices_of()).
std::string room_error(const DataplaneOptions& options,
                       const std::function<uint32_t(const std::string& interface)>& queues_of);

// Returns what would make a start of teal-dataplane on this host fail: a line for each port, and one for all.
std::vector<std::string> device_problems(const DataplaneOptions& options, const HostRoots& roots = {});

}  // namespace teal
