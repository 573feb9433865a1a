// SPDX-License-Identifier: Apache-2.0
//
// The drain that a flip begins: its flows of the idle colour, its deadline, and its end. A drain ends with
// its last flow, or by a reset at its deadline. The deadline follows from the coarse monotonic time of the
// flip in the segment, so a jump of the wall clock does not move it.
#pragma once

#include <chrono>
#include <optional>

#include "control/change/change.h"
#include "control/change/rollout.h"
#include "control/drain/drain_trends.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

struct DrainView {
  enum class State {
    kDraining,
    kOverdue,    // the deadline is over, and the flows may stay ("wait")
    kResetting,  // the deadline is over, and workers reset what is left
  };

  Colour colour = Colour::kBlue;  // the idle colour
  uint64_t flip_generation = 0;   // of the flip that began the drain
  State state = State::kDraining;
  uint64_t flows = 0;     // live flows that are older than the flip
  uint64_t closing = 0;   // of any age
  uint32_t backends = 0;  // backends that have such live flows
  std::chrono::milliseconds timeout{};
  DrainConfig::Then then = DrainConfig::Then::kWait;
  double seconds_left = 0;  // until the deadline
  int64_t deadline_ms = 0;  // since 1970, UTC
  // Until the last flow ends. Nothing: no estimate, for example because no dataplane runs.
  std::optional<double> estimate_seconds;
};
const char* drain_state_name(DrainView::State state);
const char* then_name(DrainConfig::Then then);

// Returns the drain of a service; nothing: no live flow of the idle colour is left that is older than the
// latest flip.
std::optional<DrainView> drain_of(const CatalogueService& service, const Catalogue& catalogue,
                                  const Publisher& publisher, const DrainTrends& trends, const Clock& clock);

struct DrainRequest {  // sets at least one of timeout and then
  Selection what;
  std::optional<std::chrono::milliseconds> timeout;  // from the flip
  std::optional<DrainConfig::Then> then;
  bool from_now = false;  // the timeout counts from now
};

// Plans another timeout or end for the drains of services. A service without a drain stays unchanged. The
// answer says of each drain when its deadline is, and how many flows are reset then.
tl::expected<Change, Refusal> plan_drain(const DrainRequest& request, const RolloutView& view,
                                         const Catalogue& catalogue, const Publisher& publisher,
                                         const Clock& clock);

// Plans the reset of every drain with then = "reset" whose deadline is over and that has flows left. Drains
// that are being reset already are left out.
Change plan_overdue_resets(const Catalogue& catalogue, const Publisher& publisher, uint64_t now_tick);

}  // namespace teal
