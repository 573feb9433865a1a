// SPDX-License-Identifier: Apache-2.0
//
// The part of the config file that teal-dataplane reads: [dataplane] and [[port]]. teald reads the other
// parts (control/config). A file with an error is refused completely, and all errors are listed, in the form
// FILE:LINE: FIELD: what is wrong, what was expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace teal {

enum class DeviceKind : uint8_t { kAfXdp, kAfPacket, kVdev, kPci };

// PortOptions::side and PortRow::side.
inline constexpr uint8_t kClientSide = 1;
inline constexpr uint8_t kBackendSide = 2;

struct PortOptions {
  std::string name;  // [a-z0-9][a-z0-9-]*, shorter than PortRow::name
  DeviceKind kind = DeviceKind::kAfXdp;
  std::string device;  // the interface; kVdev: the text after "vdev:"; kPci: the address in lower case
  uint8_t side = 0;
};

// The kind of address by which devices know packets: kAuto lets EAL choose, by the devices and the IOMMU.
enum class Iova : uint8_t { kAuto, kVa, kPa };

enum class Idle : uint8_t { kAdaptive, kSpin };

// The driver of the TAP port (dataplane/punt.h) has 16 queues, one for each worker.
inline constexpr uint32_t kMaxWorkers = 16;

struct DataplaneOptions {
  std::string text;            // what was read
  uint32_t workers = 1;        // 1 .. kMaxWorkers
  std::vector<uint32_t> cpus;  // one per worker; empty: workers are not pinned
  uint64_t flow_capacity = 1'000'000;
  Idle idle = Idle::kAdaptive;
  uint64_t hash_seed = 0;  // 0: a random seed
  uint32_t memory_mb = 0;  // 0: computed from the ports
  Iova iova = Iova::kAuto;
  std::vector<PortOptions> ports;
};

tl::expected<DataplaneOptions, std::vector<std::string>> read_options(const std::string& path);

// The devices that DPDK has room for (RTE_MAX_ETHPORTS of Debian's packages).
inline constexpr uint32_t kMaxDpdkDevices = 32;

// Returns how many devices DPDK opens at least: for an AF_XDP port one for each worker, for any other port
// one, and the TAPs (dataplane/punt.h). A NIC with more queues than workers needs more.
uint32_t dpdk_devices_of(const DataplaneOptions& options);

// Reads a text in memory. Errors name `path` as the file.
tl::expected<DataplaneOptions, std::vector<std::string>> parse_options(std::string_view text,
                                                                       const std::string& path);

}  // namespace teal
