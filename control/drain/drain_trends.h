// SPDX-License-Identifier: Apache-2.0
//
// How many flows each drain has left, from its flip to its end. RUN_DIR/drains.json names the drains under
// way, so that the next teald tells the end of each. The run directory is a tmpfs: like the flows, the file
// does not outlive a reboot.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

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

// Returns whether flows are left of the colour that the service's latest flip left.
bool is_draining(const CatalogueService& service, const ServiceState& state, const Publisher& publisher);
// Returns whether it is certain that no such flow is left. It is not certain while the dataplane does not
// run, has not counted its flows after its start, or has a worker that has not adopted the flip. Without a
// segment no flow exists.
bool is_drained(const CatalogueService& service, const ServiceState& state, const Publisher& publisher);

struct KnownDrain {
  std::string service;
  uint64_t flip_generation = 0;   // of the flip that began the drain
  Colour colour = Colour::kBlue;  // the idle one
};

struct EndedDrain {
  KnownDrain drain;
  std::optional<uint64_t> flows;  // flows that were left; nothing: the service left the config
  bool is_drained() const { return flows == uint64_t{0}; }
};

// The text of drains.json.
std::string drains_text(const std::vector<KnownDrain>& drains);
// The error says what is wrong with the text.
tl::expected<std::vector<KnownDrain>, std::string> parse_drains(std::string_view text);

class DrainTrends {
 public:
  using Time = Clock::Time;

  // Reads the drains of the teald before.
  explicit DrainTrends(std::string run_dir);

  // To be called before a flip gives these states to the services: the drains of before end, and new ones
  // begin.
  void flip(const std::vector<ServiceState>& states, const Catalogue& catalogue, const Publisher& publisher);
  // To be called about once a second.
  void sample(const Catalogue& catalogue, const Publisher& publisher, Time now);
  // Estimates when the last flow ends, by the pace of the latest half minute. Nothing: there are not two
  // samples yet, or the flows do not decline.
  std::optional<double> seconds_to_end(uint16_t service) const;
  // Returns the drains that have ended since the last call.
  std::vector<EndedDrain> take_ended() { return std::exchange(ended_, {}); }

 private:
  struct Sample {
    Time at;
    uint64_t flows;
  };
  struct Trend {
    KnownDrain drain;
    std::deque<Sample> samples = {};
  };

  void take_over(const Catalogue& catalogue);
  // The drain ends by a flip, which leaves it the flows that it has now.
  void end_by_flip(const CatalogueService& service, const KnownDrain& drain, const Publisher& publisher);
  void keep();

  const std::string run_dir_;
  std::vector<KnownDrain> of_last_teald_;  // until the first call that has a catalogue
  std::string kept_;                       // the text of the file; "": not known
  bool is_kept_ = true;                    // the latest attempt to write it succeeded
  std::map<uint16_t, Trend> trends_;       // by service id
  std::vector<EndedDrain> ended_;
};

}  // namespace teal
