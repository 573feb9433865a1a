// SPDX-License-Identifier: Apache-2.0
//
// How the backends of a service are checked, and what their health does to new flows.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace teal {

enum class CheckKind : uint8_t { kTcp, kHttp, kUdp, kCommand };
inline constexpr const char* kCheckKindNames[] = {"tcp", "http", "udp", "command"};

inline const char* name_of(CheckKind kind) {
  return kCheckKindNames[static_cast<size_t>(kind)];
}

// The table [service.check]. Each kind reads the fields of its own group; the others have their defaults.
struct HealthCheck {
  CheckKind kind = CheckKind::kTcp;
  std::optional<uint16_t> port;  // host order; nothing: the backend's port

  std::string path = "/";  // http
  std::string host;        // http: the header Host; empty: the backend's address
  uint16_t least_status = 200, most_status = 399;
  std::string match;  // http: text that the first 64 KiB of the body contain; empty: any body

  std::string send;    // udp
  std::string expect;  // udp: text that the answer contains; empty: any answer

  std::vector<std::string> command;  // command: an absolute path, then arguments

  std::chrono::milliseconds interval{1000};
  std::chrono::milliseconds timeout{1000};
  uint32_t rise = 2;  // checks in a row that pass before a backend is up
  uint32_t fall = 3;  // checks in a row that fail before a backend is down

  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

// When a backend whose flows fail takes no new flows for a while (control/health/ejector.h): `eject` of a
// [[service]]. Only of TCP services.
struct EjectRules {
  bool is_on = true;
  uint32_t failures = 5;                   // since the latest answer
  std::chrono::milliseconds time{30'000};  // of the first ejection; the n-th one takes n times as long
  uint32_t max_share = 50;                 // percent of a pool's weight that may be ejected at once

  friend bool operator==(const EjectRules&, const EjectRules&) = default;
};

// What the health of backends does. The defaults need no check.
struct HealthRules {
  enum class OnDown : uint8_t { kKeep, kReset };   // the flows of a backend that goes down
  enum class Empty : uint8_t { kServe, kReject };  // new flows of a pool without a backend that is up

  OnDown on_down = OnDown::kKeep;
  std::chrono::milliseconds slow_start{0};  // how long a backend that comes back takes less than its part
  uint32_t panic = 0;                       // percent of a pool's weight; with less of it up, all serve
  Empty empty = Empty::kServe;
  EjectRules eject;

  friend bool operator==(const HealthRules&, const HealthRules&) = default;
};

}  // namespace teal
