// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/options.h"

#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "dataplane/config/config_reader.h"
#include "dataplane/shm/counters.h"
#include "dataplane/shm/hop.h"
#include "dataplane/shm/segment.h"

namespace teal {

namespace {

constexpr int64_t kMinFlowCapacity = 1000;
constexpr int64_t kMaxFlowCapacity = 100'000'000;
constexpr int64_t kMinMemoryMb = 16;
constexpr int64_t kMaxMemoryMb = 1 << 18;
constexpr char kDeviceForms[] =
    "\"af_xdp:INTERFACE\", \"af_packet:INTERFACE\", \"vdev:net_...\" or a PCI address such as "
    "\"0000:3b:00.0\"";

struct Device {
  DeviceKind kind;
  std::string argument;
};

bool is_port_name(std::string_view text) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() < sizeof(PortRow::name) && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), allowed);
}

// Accepts the same names as the kernel's dev_valid_name().
bool is_interface(std::string_view text) {
  const auto refused = [](char c) {
    return c == '/' || c == ':' || std::isspace(static_cast<unsigned char>(c)) || c == '\0';
  };
  return !text.empty() && text.size() < IFNAMSIZ && text != "." && text != ".." &&
         std::none_of(text.begin(), text.end(), refused);
}

// Accepts addresses such as "0000:3b:00.0".
bool is_pci_address(std::string_view text) {
  constexpr std::string_view kShape = "xxxx:xx:xx.7";
  if (text.size() != kShape.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit_fits = kShape[i] == 'x'   ? std::isxdigit(static_cast<unsigned char>(text[i])) != 0
                            : kShape[i] == '7' ? text[i] >= '0' && text[i] <= '7'
                                               : text[i] == kShape[i];
    if (!digit_fits) return false;
  }
  return true;
}

std::string in_lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::optional<Device> read_device(const ConfigNode& node) {
  const auto text = node.text(kDeviceForms);
  if (!text) return std::nullopt;
  const size_t colon = text->find(':');
  const std::string scheme = text->substr(0, colon);
  const std::string argument = colon == std::string::npos ? "" : text->substr(colon + 1);

  if (scheme == "af_xdp" || scheme == "af_packet") {
    if (is_interface(argument)) {
      return Device{scheme == "af_xdp" ? DeviceKind::kAfXdp : DeviceKind::kAfPacket, argument};
    }
    node.error(in_quotes(argument) + " is not an interface name, expected " + scheme +
               ": followed by 1 to 15 characters without '/', ':' or spaces");
  } else if (scheme == "vdev") {
    // A space would make EAL read a second argument.
    const bool plain =
        std::all_of(argument.begin(), argument.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (argument.starts_with("net_") && argument.size() > 4 && plain)
      return Device{DeviceKind::kVdev, argument};
    node.error(in_quotes(argument) +
               " is not a virtual network device, expected \"vdev:net_...\" without spaces");
  } else if (is_pci_address(*text)) {
    return Device{DeviceKind::kPci, in_lower_case(*text)};
  } else {
    node.error(in_quotes(*text) + " is not a device, expected " + kDeviceForms);
  }
  return std::nullopt;
}

// Returns a key that is equal for two ports of the same device: the interface for either driver, the name of
// a virtual device without arguments, or the PCI address.
std::string device_identity(const Device& device) {
  std::string identity = device.argument;
  if (device.kind == DeviceKind::kVdev) identity.resize(std::min(identity.find(','), identity.size()));
  if (device.kind == DeviceKind::kPci) return "pci " + identity;
  return (device.kind == DeviceKind::kVdev ? "vdev " : "interface ") + identity;
}

void read_cpus(const ConfigNode& table, DataplaneOptions& options) {
  const auto node = table.find("cpus");
  if (!node) return;
  const auto elements = node->elements("an array of CPU numbers, one per worker");
  if (!elements) return;
  std::map<int64_t, std::string> seen;
  for (const ConfigNode& element : *elements) {
    const auto cpu = element.integer(0, CPU_SETSIZE - 1);
    if (!cpu) continue;
    const auto [first, is_new] = seen.emplace(*cpu, element.field());
    if (!is_new) {
      element.error("CPU " + std::to_string(*cpu) + " is also " + first->second +
                    ", expected a different CPU for each worker");
    }
    options.cpus.push_back(static_cast<uint32_t>(*cpu));
  }
  if (elements->size() != options.workers) {
    node->error("names " + std::to_string(elements->size()) + " CPUs, expected " +
                std::to_string(options.workers) + ", one for each worker");
  }
}

void read_dataplane(const ConfigNode& root, DataplaneOptions& options) {
  const auto table = root.require("dataplane", "a table [dataplane]");
  if (!table || !table->expect_table("a table [dataplane]")) return;
  table->allow_only({"workers", "cpus", "flow_capacity", "idle", "hash_seed", "memory_mb", "iova"});
  bool workers_known = true;
  if (const auto node = table->find("workers")) {
    const auto workers = node->integer(1, kMaxWorkers);
    workers_known = workers.has_value();
    options.workers = static_cast<uint32_t>(workers.value_or(1));
  }
  if (workers_known) read_cpus(*table, options);
  if (const auto node = table->find("flow_capacity")) {
    const auto capacity = node->integer(kMinFlowCapacity, kMaxFlowCapacity);
    options.flow_capacity = static_cast<uint64_t>(capacity.value_or(kMinFlowCapacity));
  }
  if (const auto node = table->find("idle")) {
    const auto idle = node->choice<Idle>({{"adaptive", Idle::kAdaptive}, {"spin", Idle::kSpin}});
    options.idle = idle.value_or(Idle::kAdaptive);
  }
  if (const auto node = table->find("hash_seed")) {
    options.hash_seed = static_cast<uint64_t>(node->integer(0, INT64_MAX).value_or(0));
  }
  if (const auto node = table->find("memory_mb")) {
    options.memory_mb = static_cast<uint32_t>(node->integer(kMinMemoryMb, kMaxMemoryMb).value_or(0));
  }
  if (const auto node = table->find("iova")) {
    const auto iova = node->choice<Iova>({{"auto", Iova::kAuto}, {"va", Iova::kVa}, {"pa", Iova::kPa}});
    options.iova = iova.value_or(Iova::kAuto);
  }
}

// Each holds the line of the first port with a name or device, for the error about a second one.
using FirstLines = std::map<std::string, uint32_t>;

void expect_unique(const ConfigNode& node, const std::string& identity, std::string_view shown,
                   std::string_view what, FirstLines& first_lines) {
  const auto [first, is_new] = first_lines.emplace(identity, node.line());
  if (is_new) return;
  node.error(in_quotes(shown) + " is the " + std::string(what) + " of the port of line " +
             std::to_string(first->second) + " too, expected a different one for each port");
}

// A port that DPDK owns gives its name to its TAP (dataplane/tap.h).
void expect_tap_name(const ConfigNode& node, const PortOptions& port) {
  if (port.kind == DeviceKind::kAfXdp || port.kind == DeviceKind::kAfPacket) return;
  if (port.name.size() >= IFNAMSIZ)
    node.error(in_quotes(port.name) + " has " + std::to_string(port.name.size()) +
               " bytes, expected at most 15: the TAP of a port that DPDK owns gets the port's name");
  // The first two would be taken for the settings of all interfaces in /proc/sys/net.
  constexpr std::string_view kOthers[] = {"all", "default", "lo", "teal0"};
  if (std::find(std::begin(kOthers), std::end(kOthers), port.name) != std::end(kOthers))
    node.error(in_quotes(port.name) +
               " names another interface, expected a name that the TAP of this port can have");
}

PortOptions read_port(const ConfigNode& table, FirstLines& names, FirstLines& devices) {
  table.allow_only({"name", "device", "side"});
  PortOptions port;
  constexpr char kNameForm[] = "1 to 31 of a-z, 0-9 and '-', not '-' first";
  const auto name_node = table.require("name", kNameForm);
  if (name_node) {
    if (const auto name = name_node->text(kNameForm)) {
      if (!is_port_name(*name))
        name_node->error(in_quotes(*name) + " is not a port name, expected " + kNameForm);
      expect_unique(*name_node, *name, *name, "name", names);
      port.name = *name;
    }
  }
  if (const auto node = table.require("device", kDeviceForms)) {
    if (const auto device = read_device(*node)) {
      expect_unique(*node, device_identity(*device), device->argument, "device", devices);
      port.kind = device->kind;
      port.device = device->argument;
      if (name_node) expect_tap_name(*name_node, port);
    }
  }
  if (const auto node = table.require("side", "\"client\", \"backend\" or \"both\"")) {
    const auto side = node->choice<uint8_t>(
        {{"client", kClientSide}, {"backend", kBackendSide}, {"both", kClientSide | kBackendSide}});
    port.side = side.value_or(0);
  }
  return port;
}

void read_ports(const ConfigNode& root, DataplaneOptions& options) {
  const auto tables = root.require_tables("port", "1 to 16 of [[port]]");
  if (tables.empty()) return;
  if (tables.size() > kMaxPorts) {
    tables[kMaxPorts].error("is one port too many: the file has " + std::to_string(tables.size()) +
                            ", expected at most " + std::to_string(kMaxPorts));
  }
  FirstLines names, devices;
  uint8_t sides = 0;
  bool all_known = true;
  for (const ConfigNode& table : tables) {
    options.ports.push_back(read_port(table, names, devices));
    sides |= options.ports.back().side;
    all_known = all_known && options.ports.back().side != 0;
  }
  if (!all_known) return;  // that error is reported; the ones below could follow from it
  const ConfigNode all = *root.find("port");
  if ((sides & kClientSide) == 0) {
    all.error("no port faces clients, expected at least one with side = \"client\" or \"both\"");
  }
  if ((sides & kBackendSide) == 0) {
    all.error("no port faces backends, expected at least one with side = \"backend\" or \"both\"");
  }
}

void expect_room_in_dpdk(const ConfigNode& root, const DataplaneOptions& options) {
  if (options.ports.size() > kMaxPorts) return;  // that error is reported
  const uint32_t devices = dpdk_devices_of(options);
  const auto ports = root.find("port");
  if (!ports || devices <= kMaxDpdkDevices) return;
  ports->error("need " + std::to_string(devices) + " devices of DPDK with " +
               std::to_string(options.workers) + " workers, expected at most " +
               std::to_string(kMaxDpdkDevices) + ": an AF_XDP port needs one for each worker");
}

tl::expected<DataplaneOptions, std::vector<std::string>> options_of(
    const tl::expected<ConfigDocument, ConfigDocument::Errors>& document) {
  if (!document) return tl::unexpected(document.error());
  DataplaneOptions options;
  options.text = document->text();
  read_dataplane(document->root(), options);
  read_ports(document->root(), options);
  expect_room_in_dpdk(document->root(), options);
  if (auto errors = document->errors(); !errors.empty()) return tl::unexpected(std::move(errors));
  return options;
}

}  // namespace

uint32_t dpdk_devices_of(const DataplaneOptions& options) {
  uint32_t devices = 0, shared_tap = 0;
  for (const PortOptions& port : options.ports) {
    switch (port.kind) {
      case DeviceKind::kAfXdp:
        devices += options.workers;
        shared_tap = 1;
        break;
      case DeviceKind::kAfPacket:
        devices += 1;
        break;
      case DeviceKind::kVdev:
      case DeviceKind::kPci:
        devices += 2;
        break;
    }
  }
  return devices + shared_tap;
}

tl::expected<DataplaneOptions, std::vector<std::string>> read_options(const std::string& path) {
  return options_of(ConfigDocument::read(path));
}

tl::expected<DataplaneOptions, std::vector<std::string>> parse_options(std::string_view text,
                                                                       const std::string& path) {
  return options_of(ConfigDocument::parse(text, path));
}

}  // namespace teal
