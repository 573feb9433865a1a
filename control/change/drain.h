// SPDX-License-Identifier: Apache-2.0
//
// The drain that a flip begins: its flows of the idle colour, its deadline, and its end. A drain ends with
// its last flow, or by a reset at its deadline. The deadline follows from the coarse monotonic time of the
// flip in the segment, so a jump of the wall clock does not move it.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/change/change.h"
#include "control/change/rollout.h"
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

// The flows of one colour of a service, on members and on retired backends.
struct ColourFlows {
  uint64_t live = 0;
  uint64_t closing = 0;
  uint32_t backends = 0;  // backends that have live ones
};
ColourFlows flows_of(const CatalogueService& service, Colour colour, const Publisher& publisher);
// The same, but `live` and `backends` count only flows that are older than this flip of the service
// (Publisher::draining). The colour may have younger ones, of a ramp.
ColourFlows draining_of(const CatalogueService& service, Colour colour, uint64_t flip_generation,
                        const Publisher& publisher);

struct EndedDrain {
  uint16_t service = kNoId;
  Colour colour = Colour::kBlue;  // the idle one
  uint64_t flip_generation = 0;   // of the flip that began the drain
  std::optional<uint64_t> flows;  // flows that were left; nothing: the service left the config
  bool is_drained() const { return flows == uint64_t{0}; }
};

// Follows each drain from its flip to its end, and how many flows are left. Upkeep samples about once a
// second.
class DrainTrends {
 public:
  using Time = Clock::Time;

  // To be called before a flip gives these states to the services: the drains of before end, and new ones
  // begin.
  void flip(const std::vector<ServiceState>& states, const Catalogue& catalogue, const Publisher& publisher);
  void sample(const Catalogue& catalogue, const Publisher& publisher, Time now);
  // Estimates when the last flow ends, by the pace of the latest half minute. Nothing: there are not two
  // samples yet, or the flows do not decline.
  std::optional<double> seconds_to_end(uint16_t service) const;
  // Returns the drains that have ended since the last call. A drain that ended before the first sample is not
  // among them.
  std::vector<EndedDrain> take_ended() { return std::exchange(ended_, {}); }

 private:
  struct Sample {
    Time at;
    uint64_t flows;
  };
  struct Trend {
    uint64_t flip_generation = 0;
    Colour colour = Colour::kBlue;
    std::deque<Sample> samples = {};
  };
  std::unordered_map<uint16_t, Trend> trends_;  // by service id
  std::vector<EndedDrain> ended_;
};

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
Change plan_overdue_resets(const Catalogue& catalogue, const Publisher& publisher, uint32_t now_tick);

}  // namespace teal
