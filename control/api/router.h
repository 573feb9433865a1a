// SPDX-License-Identifier: Apache-2.0
//
// From a request to the resource that answers it. Each resource has its file.
#pragma once

#include <chrono>

#include <nlohmann/json.hpp>

#include "control/api/request.h"
#include "control/busy.h"
#include "control/coroutine.h"
#include "control/publisher.h"
#include "control/switcher.h"

namespace teal {

using Json = nlohmann::ordered_json;  // keeps the order of the contract
using Answer = tl::expected<Json, Refusal>;

// What the resources answer from. All of it lives as long as the daemon.
struct Api {
  Switcher& switcher;
  Publisher& publisher;
  const BusyRatios& busy;
  std::chrono::steady_clock::time_point started;
};

Task<Response> answer(Api& api, const Request& request);
Response refused(const Refusal& refusal);

// services.cc
Task<Answer> list_services(Api& api, const Request& request);
Task<Answer> show_service(Api& api, const Request& request);
// flips.cc
Task<Answer> flip(Api& api, const Request& request);
Task<Answer> roll_back(Api& api, const Request& request);
// flows.cc
Task<Answer> list_flows(Api& api, const Request& request);
// counters.cc
Task<Answer> show_counters(Api& api, const Request& request);
// version.cc
Task<Answer> show_version(Api& api, const Request& request);

Refusal no_such_service(const Api& api, const std::string& name);

}  // namespace teal
