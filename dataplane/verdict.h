// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/counters.h"

namespace teal {

// What becomes of a packet. Each packet gets exactly one; who owns the mbuf follows from it: worker.cc's
// dispatch() gives it to a transmit queue, the kernel, another worker's ring, or frees it and counts the
// reason.
class [[nodiscard]] Verdict {
 public:
  enum class Kind : uint8_t { kUndecided, kForward, kPunt, kHandOver, kDrop };

  static constexpr Verdict undecided() { return {Kind::kUndecided, {}}; }
  static constexpr Verdict forward() { return {Kind::kForward, {}}; }
  static constexpr Verdict punt() { return {Kind::kPunt, {}}; }
  static constexpr Verdict hand_over() { return {Kind::kHandOver, {}}; }
  static constexpr Verdict drop(DropReason reason) { return {Kind::kDrop, reason}; }

  constexpr Kind kind() const { return kind_; }
  constexpr DropReason reason() const { return reason_; }  // of a drop
  constexpr bool is_undecided() const { return kind_ == Kind::kUndecided; }

  constexpr Verdict() = default;

 private:
  constexpr Verdict(Kind kind, DropReason reason) : kind_(kind), reason_(reason) {}
  Kind kind_ = Kind::kUndecided;
  DropReason reason_ = {};
};

}  // namespace teal
