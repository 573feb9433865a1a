// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/port.h"

namespace teal {

// The ports' own MAC addresses as they are now. The main thread writes them (port_monitor.h). Each worker has
// copies, and refreshes them when changes() has another value than at its last look.
class CurrentMacs {
 public:
  explicit CurrentMacs(std::span<const Port> ports) {
    for (const Port& port : ports) macs_[port.id].store(port.mac.word(), std::memory_order_relaxed);
  }

  void set(uint16_t port, const MacAddress& mac) {
    macs_[port].store(mac.word(), std::memory_order_relaxed);
    // Pairs with changes(): a worker that sees the new number also sees the address.
    changes_.fetch_add(1, std::memory_order_release);
  }

  // The number of changes so far. Pairs with set().
  uint32_t changes() const { return changes_.load(std::memory_order_acquire); }
  MacAddress of(uint16_t port) const {
    const uint64_t word = macs_[port].load(std::memory_order_relaxed);
    MacAddress mac;
    std::memcpy(mac.bytes, &word, sizeof(mac.bytes));
    return mac;
  }

 private:
  std::array<std::atomic<uint64_t>, kMaxPorts> macs_{};  // by port id
  std::atomic<uint32_t> changes_ = 0;
};

}  // namespace teal
