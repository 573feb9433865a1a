// SPDX-License-Identifier: Apache-2.0
//
// Hooks are commands of an operator that teal-health runs around a rollout (docs/rollouts.md).
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace teal {

enum class Hook : uint8_t {
  kPreFlip,     // before a flip or the begin of a ramp, which the hook can refuse
  kPostFlip,    // after a flip, or after the last step of a ramp
  kStep,        // after each other step of a ramp
  kDrained,     // the last flow of the colour that was left has ended
  kRolledBack,  // after a rollback or an abort
};
inline constexpr std::array<const char*, 5> kHookNames = {"pre_flip", "post_flip", "step", "drained",
                                                          "rolled_back"};
inline constexpr size_t kHooks = kHookNames.size();

inline const char* name_of(Hook hook) {
  return kHookNames[static_cast<size_t>(hook)];
}

struct HookCommand {
  std::vector<std::string> command;  // an absolute path, then arguments
  std::chrono::milliseconds timeout = std::chrono::seconds(30);

  friend bool operator==(const HookCommand&, const HookCommand&) = default;
};

inline constexpr std::chrono::milliseconds kMinHookTimeout{100};
inline constexpr std::chrono::milliseconds kMaxHookTimeout = std::chrono::minutes(10);

using HookCommands = std::array<std::optional<HookCommand>, kHooks>;  // by Hook; nothing: no command

inline const std::optional<HookCommand>& command_of(const HookCommands& commands, Hook hook) {
  return commands[static_cast<size_t>(hook)];
}

}  // namespace teal
