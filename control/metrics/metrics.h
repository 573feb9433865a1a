// SPDX-License-Identifier: Apache-2.0
//
// teald's metrics in Prometheus' text format. The number and duration of flips come from teald's events
// (loop/events.h) and start at 0 with teald. All other values are read at each scrape. Most counters are in
// the segment and start at 0 with it.
//
// Labels have few values: services of the config, colours, directions, workers, and names of counters
// (shm/counters.h). Backends are the exception: each one, up to 4,096, has four series for each colour,
// two more if it is checked, and eight more if flows began on it.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <tuple>

#include <prometheus/histogram.h>

#include "control/change/drain.h"
#include "control/change/executor.h"
#include "control/change/verbs.h"
#include "control/health/health_board.h"
#include "control/health/health_upkeep.h"
#include "control/kernel/steering.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"
#include "control/metrics/busy.h"
#include "control/publish/publisher.h"
#include "control/state/journal.h"
#include "control/state/recorder.h"

namespace teal {

class Metrics {
 public:
  struct Source {
    const ChangeExecutor& executor;
    const DrainTrends& trends;
    const Publisher& publisher;
    const Steering& steering;
    const BusyRatios& busy;
    const Recorder& recorder;
    const Journal& journal;
    const HealthBoard& health;
    const HealthUpkeep& health_upkeep;
    Verbs& verbs;
    const Clock& clock;
    const Trials& trials;
  };

  Metrics();

  // Counts the events from now on. `events` must tell no event after this object is destroyed.
  void listen(Events& events);

  // Writes one family after the other, and yields to the event loop between them.
  Task<std::string> scrape(Source source) const;

 private:
  using Flip = std::tuple<std::string, std::string, std::string>;  // service, to, result

  void count(const std::string& data);
  Task<void> write_flips(std::ostream& out, const Catalogue& catalogue) const;

  std::map<Flip, uint64_t> flips_;
  prometheus::Histogram durations_;
};

}  // namespace teal
