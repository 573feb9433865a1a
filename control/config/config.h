// SPDX-License-Identifier: Apache-2.0
//
// The part of the config file that teald reads: services, groups, timeouts, drains and teald's sockets. The
// tables [dataplane] and [[port]] belong to dataplane/config/options.h.
//
// A config is all or nothing: a file with an error changes nothing. A reader lists every error of the file,
// one line each: "FILE:LINE: FIELD: what is wrong, expected what".
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/config/health_check.h"
#include "control/config/hooks.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

inline constexpr uint32_t kMaxWeight = 1000;

inline const char* name_of(Colour colour) {
  return kColourNames[static_cast<size_t>(colour)];
}

struct BackendConfig {
  Socket socket;
  uint32_t weight = 1;  // 0: takes no new flows
};

// How a drain treats the flows of the colour that a flip left. The table [drain] has the defaults; a
// service's `drain` has the fields in which the service differs.
struct DrainConfig {
  enum class Then : uint8_t {
    kWait,
    kReset
  };  // at the deadline: keep waiting, or reset the flows that are left
  enum class Udp : uint8_t {
    kStick,
    kCut
  };  // UDP flows end by their timeout, or at the client's next packet

  std::chrono::milliseconds timeout = std::chrono::minutes(5);
  Then then = Then::kWait;
  Udp udp = Udp::kStick;

  friend bool operator==(const DrainConfig&, const DrainConfig&) = default;
};

// The steps of a ramp. `[service.rollout]` has those that a plain flip of the service follows.
struct RampPlan {
  static constexpr size_t kMaxSteps = 32;

  std::vector<uint16_t> steps;  // shares of new flows, in 1/kShareOne: they rise, and the last is kShareOne
  std::chrono::milliseconds every = std::chrono::minutes(1);  // the time of a step
  bool manual = false;                                        // only an operator begins the next step

  friend bool operator==(const RampPlan&, const RampPlan&) = default;
};

// The rules of a service's rollouts: when Teal refuses one, and how Teal acts on its judgement of the new
// colour (docs/judgement.md). The table [rollout] has the defaults; `[service.rollout]` has the fields in
// which the service differs.
struct RolloutRules {
  enum class OnBad : uint8_t {  // the most careful first
    kRollback,
    kPause,  // a ramp; after a full flip there is nothing to pause, so Teal tells
    kTell,
  };
  enum class OnFew : uint8_t { kWait, kPause, kGo };      // the time of a step is over, with too few flows
  enum class AfterRollback : uint8_t { kDrain, kReset };  // the flows that are left on the bad colour

  std::chrono::milliseconds bake = std::chrono::minutes(2);  // Teal judges so long after a full flip
  OnBad on_bad = OnBad::kRollback;
  OnFew on_few = OnFew::kWait;
  // A way forward needs this part of the old colour's healthy weight, in 1/kShareOne.
  uint16_t min_capacity = kShareOne;
  // A release needs a flow of a preview that the new colour has answered.
  bool require_preview = false;
  AfterRollback after_rollback = AfterRollback::kDrain;
  std::optional<std::chrono::milliseconds> after_rollback_timeout;  // nothing: the drain's own
  HookCommands hooks;

  friend bool operator==(const RolloutRules&, const RolloutRules&) = default;
};
inline constexpr std::array<const char*, 3> kOnBadNames = {"rollback", "pause", "tell"};
inline constexpr std::array<const char*, 3> kOnFewNames = {"wait", "pause", "go"};
inline constexpr std::array<const char*, 2> kAfterRollbackNames = {"drain", "reset"};

struct ServiceConfig {
  std::string name;
  Socket vip;
  std::optional<Socket> preview;  // leads to the idle colour; of the VIP's family and protocol
  std::array<std::vector<BackendConfig>, kColours> pools;  // by Colour
  Colour active = Colour::kBlue;                           // used at the first start only
  bool affinity_client = false;
  DrainConfig drain;
  std::optional<RampPlan> rollout;  // nothing: a flip moves all new flows at once
  RolloutRules rules;
  std::optional<HealthCheck> check;  // nothing: its backends are not checked
  HealthRules health;
};

struct GroupConfig {
  std::string name;
  std::vector<std::string> services;  // names of services of this file
};

// Owner, group and mode of a unix socket: [api] control = { owner = "root", group = "teal", mode = "0660" }.
struct SocketAccess {
  std::optional<uint32_t> owner;  // uid; nullopt: teald's own
  std::optional<uint32_t> group;  // gid; nullopt: teald's own
  uint32_t mode = 0660;           // permission bits

  friend bool operator==(const SocketAccess&, const SocketAccess&) = default;
};

struct ApiConfig {
  SocketAccess control;                                            // RUN_DIR/control.sock
  SocketAccess status = {.owner = {}, .group = {}, .mode = 0666};  // RUN_DIR/status.sock, read-only
  std::optional<Socket> listen;  // a loopback address for read-only HTTP; the protocol is TCP

  friend bool operator==(const ApiConfig&, const ApiConfig&) = default;
};

// Lines of the file, for errors that only the opening of a socket shows; 0: the file does not have the key.
struct ApiLines {
  uint32_t control = 0, status = 0, listen = 0;
};

struct Config {
  std::string path;
  std::string text;  // what was read from there
  ApiConfig api;
  ApiLines api_lines;
  uint32_t reset_rate = 10'000;         // [drain] reset_rate: flows per second, all services together
  Timeouts timeouts;                    // in ticks
  std::vector<ServiceConfig> services;  // in the file's order
  std::vector<GroupConfig> groups;
};

using ConfigErrors = std::vector<std::string>;

tl::expected<Config, ConfigErrors> read_config(const std::string& path);

// Parses a text in memory. Errors name `path` as the file.
tl::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& path);

}  // namespace teal
