// SPDX-License-Identifier: Apache-2.0
//
// teald's metrics in Prometheus' text format. Flips and how long they took are counted here as they are told
// (events.h), so they start at 0 with teald; all else is read from the segment when it is asked for, and
// starts at 0 with the segment.
//
// Labels have few values: services of the config, colours, directions, workers, and names from counters.h.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include <prometheus/histogram.h>

#include "control/change/executor.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"
#include "control/metrics/busy.h"
#include "control/publish/publisher.h"

namespace teal {

class Metrics {
 public:
  struct Source {
    const ChangeExecutor& executor;
    const Publisher& publisher;
    const BusyRatios& busy;
  };

  Metrics();

  // Counts what `events` tells from now on. This outlives it.
  void listen(Events& events);

  // Family by family; between two of them others have their turn.
  Task<std::string> scrape(Source source) const;

 private:
  using Flip = std::tuple<std::string, std::string, std::string>;  // service, to, result

  void count(const std::string& data);

  std::map<Flip, uint64_t> flips_;
  prometheus::Histogram durations_;
};

}  // namespace teal
