// SPDX-License-Identifier: Apache-2.0
//
// The part of the config file that teal-dataplane reads: [dataplane] and [[port]]. It ignores all other
// tables; control/config/config.h reads them.
//
// A config is all or nothing: a file with an error gives no options. A reader lists every error of its part,
// one line each: "FILE:LINE: FIELD: what is wrong, expected what".
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
  std::string device;  // an interface; for kVdev the text behind "vdev:"; for kPci an address "0000:3b:00.0"
  uint8_t side = 0;    // kClientSide, kBackendSide or both
};

enum class Idle : uint8_t { kAdaptive, kSpin };

// Each worker uses a queue of the TAP port (dataplane/punt.h). The TAP driver has 16 queues.
inline constexpr uint32_t kMaxWorkers = 16;

struct DataplaneOptions {
  uint32_t workers = 1;        // 1 .. kMaxWorkers
  std::vector<uint32_t> cpus;  // one per worker; empty: the scheduler places the workers
  uint64_t flow_capacity = 1'000'000;
  Idle idle = Idle::kAdaptive;
  uint64_t hash_seed = 0;  // 0: random
  uint32_t memory_mb = 0;  // 0: computed from the ports
  std::vector<PortOptions> ports;
};

tl::expected<DataplaneOptions, std::vector<std::string>> read_options(const std::string& path);

// Parses a text in memory. Errors name `path` as the file.
tl::expected<DataplaneOptions, std::vector<std::string>> parse_options(std::string_view text,
                                                                       const std::string& path);

}  // namespace teal
