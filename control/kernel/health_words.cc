// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/health_words.h"

#include "control/kernel/backend_words.h"

namespace teal {

namespace {

// Sets the modes that are kNormal, or those that are not. Returns true if one was another one before.
bool store_modes(BackendWords& segment, const HealthWords& words, bool normal) {
  bool changed = false;
  for (uint16_t service = 0; service < kMaxServices; ++service) {
    for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
      const PoolMode mode = words.modes[service][static_cast<size_t>(colour)];
      if ((mode == PoolMode::kNormal) != normal || segment.mode(service, colour) == mode) continue;
      segment.set_mode(service, colour, mode);
      changed = true;
    }
  }
  return changed;
}

}  // namespace

// A worker must not search a pool for a backend that is up where none is. So a mode other than kNormal is set
// before the last backend goes down, and kNormal after the first one is up.
bool store_health(SegmentHeader& header, const HealthWords& words) {
  BackendWords segment(header);
  bool tells = store_modes(segment, words, false);
  for (uint16_t backend = 0; backend < kMaxBackends; ++backend) {
    const uint8_t held_back = words.held_back[backend];
    if (segment.held_back(backend) == held_back) continue;
    segment.set_held_back(backend, held_back);
    tells = tells || held_back == kDown;
  }
  tells = store_modes(segment, words, true) || tells;
  if (tells) segment.tell_workers();
  return tells;
}

}  // namespace teal
