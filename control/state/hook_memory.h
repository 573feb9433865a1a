// SPDX-License-Identifier: Apache-2.0
//
// The progress of hooks, as the database keeps it (control/hooks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace teal {

// A drain whose end a hook waits for.
struct PendingDrain {
  std::string service;
  int64_t change = 0;       // the history id of the flip that began the drain
  uint64_t generation = 0;  // of the flip
  std::string input;        // JSON, for the hook

  friend bool operator==(const PendingDrain&, const PendingDrain&) = default;
};

struct HookMemory {
  // The hooks of the changes up to this history id have run. Nothing: the config has no hooks.
  std::optional<int64_t> delivered;
  std::vector<PendingDrain> drains;

  friend bool operator==(const HookMemory&, const HookMemory&) = default;
};

}  // namespace teal
