// SPDX-License-Identifier: Apache-2.0
//
// Finds the resource that answers a request. Each resource has its own file.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/api/resources/event_feed.h"
#include "control/api/resources/lane.h"
#include "control/api/resources/refusal_log.h"
#include "control/change/executor.h"
#include "control/change/upkeep.h"
#include "control/change/verbs.h"
#include "control/health/health_board.h"
#include "control/health/health_upkeep.h"
#include "control/kernel/hop_states.h"
#include "control/kernel/steering.h"
#include "control/loop/clock.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"
#include "control/metrics/busy.h"
#include "control/metrics/metrics.h"
#include "control/metrics/nic_losses.h"
#include "control/metrics/steering_losses.h"
#include "control/publish/publisher.h"
#include "control/state/journal.h"
#include "control/state/recorder.h"

namespace teal {

using Json = nlohmann::ordered_json;  // keeps the order of the contract
using Answer = tl::expected<Response, Refusal>;

// The objects that resources use. They live as long as the daemon.
struct Api {
  ChangeExecutor& executor;
  Upkeep& upkeep;
  Verbs& verbs;
  Publisher& publisher;
  const HopStates& hop_states;
  const HealthBoard& health;
  const HealthUpkeep& health_upkeep;
  const Steering& steering;
  Recorder& recorder;
  const Journal& journal;
  Events& events;
  const Metrics& metrics;
  const BusyRatios& busy;
  const NicLosses& losses;
  const SteeringLosses& steering_losses;
  RefusalLog& refusals;
  Lane& operators;
  Lane& readers;
  const Clock& clock;
  Clock::Time started;
  // Makes teal-health check these backends now. Returns false if no prober would answer.
  std::function<bool(const std::vector<uint16_t>&)> check_now = [](const std::vector<uint16_t>&) {
    return false;
  };

  EventFeed feed{events};

  Lane& lane_of(const Request& request) const { return request.is_of_operator ? operators : readers; }
};

Task<Response> answer(Api& api, const Request& request);

// Returns the value as JSON text. Bytes that are not UTF-8 are replaced: the value may quote a request.
std::string to_text(const Json& value);
Response as_json(const Json& value);
// Appends a value, with a comma if necessary, to the text of a JSON list.
void append(std::string& list, const Json& value);

// services.cc
Task<Answer> list_services(Api& api, const Request& request);
Task<Answer> show_service(Api& api, const Request& request);
// drain.cc
Task<Answer> show_drain(Api& api, const Request& request);
Task<Answer> set_drain(Api& api, const Request& request);
// flips.cc
Task<Answer> flip(Api& api, const Request& request);
Task<Answer> roll_back(Api& api, const Request& request);
// ramps.cc
Task<Answer> begin_ramp(Api& api, const Request& request);
Task<Answer> next_step(Api& api, const Request& request);
Task<Answer> abort_ramp(Api& api, const Request& request);
Task<Answer> pause_ramp(Api& api, const Request& request);
Task<Answer> resume_ramp(Api& api, const Request& request);
// backends.cc
Task<Answer> set_backend(Api& api, const Request& request);
// previews.cc
Task<Answer> set_preview(Api& api, const Request& request);
// reload.cc
Task<Answer> reload(Api& api, const Request& request);
// locks.cc
Task<Answer> lock(Api& api, const Request& request);
Task<Answer> unlock(Api& api, const Request& request);
// history.cc
Task<Answer> show_history(Api& api, const Request& request);
// events.cc
Task<Answer> follow_events(Api& api, const Request& request);
// flows.cc
Task<Answer> list_flows(Api& api, const Request& request);
// counters.cc
Task<Answer> show_counters(Api& api, const Request& request);
// health.cc
Task<Answer> show_health(Api& api, const Request& request);
// verify.cc
Task<Answer> verify(Api& api, const Request& request);
// metrics.cc
Task<Answer> show_metrics(Api& api, const Request& request);
// version.cc
Task<Answer> show_version(Api& api, const Request& request);

// Returns the service that the path names.
tl::expected<const CatalogueService*, Refusal> named_service(const Api& api, const Request& request);
Refusal no_such_service(const Api& api, const std::string& name);

}  // namespace teal
