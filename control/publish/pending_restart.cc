// SPDX-License-Identifier: Apache-2.0
#include "control/publish/pending_restart.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "dataplane/config/running_config.h"

namespace teal {

namespace {

constexpr const char* kRestart = "restart teal-dataplane to apply it";
constexpr const char* kNewTable = "a restart of teal-dataplane moves the flows to another table";

const char* idle_name(Idle idle) {
  return idle == Idle::kSpin ? "spin" : "adaptive";
}

const char* iova_name(Iova iova) {
  return iova == Iova::kVa ? "va" : iova == Iova::kPa ? "pa" : "auto";
}

std::string cpus_text(const std::vector<uint32_t>& cpus) {
  return cpus.empty() ? "none" : fmt::format("{}", fmt::join(cpus, ", "));
}

std::string side_name(uint8_t side) {
  return side == kClientSide ? "client" : side == kBackendSide ? "backend" : "both";
}

std::string device_text(const PortOptions& port) {
  switch (port.kind) {
    case DeviceKind::kAfXdp:
      return "af_xdp:" + port.device;
    case DeviceKind::kAfPacket:
      return "af_packet:" + port.device;
    case DeviceKind::kVdev:
      return "vdev:" + port.device;
    case DeviceKind::kPci:
      break;
  }
  return port.device;
}

const PortOptions* find_port(const std::vector<PortOptions>& ports, const std::string& name) {
  const auto found =
      std::find_if(ports.begin(), ports.end(), [&](const PortOptions& port) { return port.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

class Differences {
 public:
  template <typename T>
  void compare(const std::string& key, const T& wanted, const T& running, const char* what = kRestart) {
    if (wanted == running) return;
    lines_.push_back(fmt::format("{}: configured {}, running {}: {}", key, wanted, running, what));
  }
  void add(std::string line) { lines_.push_back(std::move(line)); }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

void compare_ports(const DataplaneOptions& wanted, const DataplaneOptions& running, Differences& found) {
  for (const PortOptions& port : wanted.ports) {
    const std::string name = "[[port]] " + port.name;
    const PortOptions* open = find_port(running.ports, port.name);
    if (open == nullptr) {
      found.add(name + ": new: restart teal-dataplane to open it");
      continue;
    }
    found.compare(name + ": device", device_text(port), device_text(*open));
    found.compare(name + ": side", side_name(port.side), side_name(open->side));
  }
  for (const PortOptions& port : running.ports)
    if (find_port(wanted.ports, port.name) == nullptr)
      found.add("[[port]] " + port.name + ": no longer configured: restart teal-dataplane to close it");
}

}  // namespace

std::vector<std::string> wants_restart(const DataplaneOptions& wanted, const DataplaneOptions& running) {
  Differences found;
  found.compare("[dataplane] workers", wanted.workers, running.workers);
  found.compare("[dataplane] cpus", cpus_text(wanted.cpus), cpus_text(running.cpus));
  found.compare("[dataplane] flow_capacity", wanted.flow_capacity, running.flow_capacity, kNewTable);
  found.compare("[dataplane] idle", std::string(idle_name(wanted.idle)),
                std::string(idle_name(running.idle)));
  // A seed of 0 fits every table (Segment::open_or_create).
  found.compare("[dataplane] hash_seed", wanted.hash_seed, running.hash_seed,
                wanted.hash_seed == 0 ? kRestart : kNewTable);
  found.compare("[dataplane] memory_mb", wanted.memory_mb, running.memory_mb);
  found.compare("[dataplane] iova", std::string(iova_name(wanted.iova)),
                std::string(iova_name(running.iova)));
  compare_ports(wanted, running, found);
  return found.take();
}

DataplaneOptions options_of(const SegmentHeader& running, const FlowsHeader& flows,
                            const DataplaneOptions& wanted) {
  DataplaneOptions options = wanted;
  options.flow_capacity = flows.flow_capacity;
  if (wanted.hash_seed != 0) options.hash_seed = flows.hash_seed;
  options.ports.clear();
  for (const PortRow& row : running.ports) {
    if (row.present == 0) continue;
    const PortOptions* known = find_port(wanted.ports, row.name);
    options.ports.push_back(known == nullptr ? PortOptions{.name = row.name} : *known);
    options.ports.back().side = row.side;
  }
  return options;
}

std::vector<std::string> PendingRestart::lines(const DataplaneOptions& wanted) {
  if (!publisher_.attached() || !publisher_.dataplane_running()) return {};
  const std::shared_ptr<Segment> segment = publisher_.segment();
  const SegmentHeader& header = segment->header();
  // Acquire: the copy was written before.
  const std::pair running(header.dataplane_pid.load(std::memory_order_relaxed),
                          header.dataplane_epoch.load(std::memory_order_acquire));
  if (running != read_from_) {
    read_from_ = running;
    started_with_ = read_running_config(publisher_.run_dir());
  }
  DataplaneOptions options = started_with_ ? *started_with_ : options_of(header, segment->flows(), wanted);
  options.workers = header.worker_count.load(std::memory_order_relaxed);  // --workers beats the file
  return wants_restart(wanted, options);
}

}  // namespace teal
