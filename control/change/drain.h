// SPDX-License-Identifier: Apache-2.0
//
// The drain that a flip leaves behind, as operators see it, and the two things that end it: the last flow, or
// the deadline. The deadline follows from the segment's target (coarse monotonic time), so a wall clock that
// jumps moves no deadline.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "control/change/change.h"
#include "control/change/rollout.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

struct DrainView {
  enum class State {
    kDraining,
    kOverdue,    // the deadline is over, and the flows may stay ("wait")
    kResetting,  // the deadline is over, and workers reset what is left
  };

  Colour colour = Colour::kBlue;  // that drains: the one that is not active
  State state = State::kDraining;
  uint64_t flows = 0;
  uint64_t closing = 0;
  uint32_t backends = 0;  // that have flows of it
  std::chrono::milliseconds timeout{};
  DrainConfig::Then then = DrainConfig::Then::kWait;
  double seconds_left = 0;                 // until the deadline
  int64_t deadline_ms = 0;                 // since 1970, UTC
  std::optional<double> estimate_seconds;  // until the last flow ends; nothing: it does not look like an end
};
const char* drain_state_name(DrainView::State state);
const char* then_name(DrainConfig::Then then);

// Live flows of a colour, on members and on retired backends.
struct ColourFlows {
  uint64_t live = 0;
  uint64_t closing = 0;
  uint32_t backends = 0;
};
ColourFlows flows_of(const CatalogueService& service, Colour colour, const Publisher& publisher);

// How the flows left went down lately, by service id. Sampled about once a second.
class DrainTrends {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void sample(const Catalogue& catalogue, const Publisher& publisher, Time now);
  // At the pace of the latest half minute. Nothing: no two samples yet, or no decline.
  std::optional<double> seconds_to_end(uint16_t service) const;
  // Services whose last flow ended between the latest two samples.
  const std::vector<uint16_t>& drained() const { return drained_; }

 private:
  struct Sample {
    Time at;
    uint64_t flows;
  };
  struct Trend {
    uint64_t flip_generation = 0;
    std::deque<Sample> samples;
  };
  std::unordered_map<uint16_t, Trend> trends_;
  std::vector<uint16_t> drained_;
};

// Nothing: no flow of the colour that is not active is left.
std::optional<DrainView> drain_of(const CatalogueService& service, const Catalogue& catalogue,
                                  const Publisher& publisher, const DrainTrends& trends);

// A drain's new timeout or end. Services whose target was never flipped are refused (of a group: unchanged).
tl::expected<Change, Refusal> plan_drain(const DrainRequest& request, const RolloutView& view,
                                         const Catalogue& catalogue);

// What plan_drain() told of one service (its "changed"), applied to it at a start.
void apply_drain(const nlohmann::json& changed, ServiceState& service);

// Services with then = "reset" whose deadline is over, that have flows left and are not being reset yet.
Change overdue_resets(const Catalogue& catalogue, const Publisher& publisher, uint32_t now_tick);

}  // namespace teal
