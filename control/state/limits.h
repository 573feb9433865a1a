// SPDX-License-Identifier: Apache-2.0
//
// The ranges of values in the database. Writers clamp to them, so readers may refuse any other value as
// damage.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/config/config_reader.h"

namespace teal {

inline constexpr int64_t kMaxGeneration = int64_t{1} << 55;  // the publication word has 56 bits
inline constexpr int64_t kMaxTimeMs = 253'402'300'799'999;   // the year 9999; a clock may be that wrong
inline constexpr int64_t kMaxDurationMs = kMaxDuration.count();

inline int64_t in_range(int64_t value, int64_t most) {
  return std::clamp<int64_t>(value, 0, most);
}
inline int64_t generation_in_range(uint64_t generation) {
  return static_cast<int64_t>(std::min<uint64_t>(generation, kMaxGeneration));
}

}  // namespace teal
