// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/counters.h"

namespace teal {

// What a punted packet is about. punt_limits.h has the limits.
enum class PuntClass : uint8_t {
  kExpired,      // of a service: its TTL ends here, and the kernel answers
  kFromBackend,  // of a backend's socket, about no flow of Teal: somebody speaks to the backend directly
  kToVip,        // to the address of a VIP, but to no service
  kHost,         // anything else: ARP, ND, BGP, SSH, other people's traffic
};

// A verdict says what becomes of a packet. Each packet gets exactly one verdict, and the owner of its mbuf
// follows from it. Worker::dispatch() gives the mbuf to a transmit queue or to the kernel, or frees it and
// counts the reason; the mbuf of a packet that was handed over is already in another worker's ring.
class [[nodiscard]] Verdict {
 public:
  enum class Kind : uint8_t { kUndecided, kForward, kPunt, kHandOver, kDrop };

  static constexpr Verdict undecided() { return {Kind::kUndecided, {}}; }
  static constexpr Verdict forward() { return {Kind::kForward, {}}; }
  static constexpr Verdict punt(PuntClass what) { return {Kind::kPunt, static_cast<uint8_t>(what)}; }
  static constexpr Verdict hand_over() { return {Kind::kHandOver, {}}; }
  static constexpr Verdict drop(DropReason reason) { return {Kind::kDrop, static_cast<uint8_t>(reason)}; }

  constexpr Kind kind() const { return static_cast<Kind>(bits_ & 0xff); }
  constexpr DropReason reason() const { return static_cast<DropReason>(bits_ >> 8); }    // of a drop
  constexpr PuntClass punt_class() const { return static_cast<PuntClass>(bits_ >> 8); }  // of a punt
  constexpr bool is_undecided() const { return kind() == Kind::kUndecided; }

  constexpr Verdict() = default;

 private:
  constexpr Verdict(Kind kind, uint8_t detail)
      : bits_(static_cast<uint16_t>(static_cast<uint32_t>(kind) | static_cast<uint32_t>(detail) << 8)) {}
  uint16_t bits_ = 0;  // one word, for one store
};

}  // namespace teal
