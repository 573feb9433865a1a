// SPDX-License-Identifier: Apache-2.0
//
// From a request to the resource that answers it. Each resource has its file.
#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "control/api/http/gate.h"
#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/api/resources/event_feed.h"
#include "control/change/executor.h"
#include "control/loop/coroutine.h"
#include "control/loop/events.h"
#include "control/metrics/busy.h"
#include "control/metrics/metrics.h"
#include "control/publish/publisher.h"
#include "control/state/recorder.h"

namespace teal {

using Json = nlohmann::ordered_json;  // keeps the order of the contract
using Answer = tl::expected<Response, Refusal>;

// What the resources answer from. All of it lives as long as the daemon.
struct Api {
  ChangeExecutor& executor;
  Publisher& publisher;
  Recorder& recorder;
  Events& events;
  const Metrics& metrics;
  const BusyRatios& busy;
  std::chrono::steady_clock::time_point started;

  EventFeed feed{events};
  Gate gate{4};  // for long answers
};

Task<Response> answer(Api& api, const Request& request);

// The value as the body of an answer. Names come from a checked config, but a request may be quoted in it,
// and that may hold what is no UTF-8.
std::string to_text(const Json& value);
Response as_json(const Json& value);
// For a list that is written as text: the comma, and the value.
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
// backends.cc
Task<Answer> set_backend(Api& api, const Request& request);
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
// metrics.cc
Task<Answer> show_metrics(Api& api, const Request& request);
// version.cc
Task<Answer> show_version(Api& api, const Request& request);

// The service that the path names.
tl::expected<const CatalogueService*, Refusal> named_service(const Api& api, const Request& request);
Refusal no_such_service(const Api& api, const std::string& name);

}  // namespace teal
