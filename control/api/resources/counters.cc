// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/counters
#include "control/api/resources/router.h"
#include "control/metrics/ports.h"

namespace teal {

namespace {

// A dataplane that was killed leaves the states of its workers in the segment, so they count only while one
// runs.
const char* state_name(const WorkerStatus& status, bool dataplane_running) {
  if (!dataplane_running) return "absent";
  switch (status.state.load(std::memory_order_relaxed)) {
    case WorkerState::kAbsent:
      return "absent";
    case WorkerState::kPolling:
      return "polling";
    case WorkerState::kAsleep:
      return "asleep";
  }
  return "absent";
}

Json counters_of(const WorkerBlock& worker) {
  Json counters = Json::object();
  for (uint32_t i = 0; i < kEventCount; ++i) counters[std::string(kEventNames[i])] = worker.events[i].read();
  for (uint32_t i = 0; i < kDropReasonCount; ++i)
    counters[std::string(kDropReasonNames[i])] = worker.drops[i].read();
  return counters;
}

Json view_ports(const Api& api) {
  Json ports = Json::array();
  for_each_port(api.publisher, [&](const PortRow& row) {
    Json counters = Json::object();
    for (size_t i = 0; i < kNicCounterCount; ++i)
      counters[std::string(kNicCounterNames[i])] = row.counters[i].load(std::memory_order_relaxed);
    ports.push_back({{"name", row.name},
                     {"interface", row.interface},
                     {"driver", row.driver},
                     {"owned_by_dpdk", row.owned != 0},
                     {"queues", row.queues},
                     {"spreads", row.spreads != 0},
                     {"link", link_name(row)},
                     {"speed_mbps", row.speed_mbps.load(std::memory_order_relaxed)},
                     {"counters", std::move(counters)}});
  });
  return ports;
}

Json view_steering(const Api& api) {
  const auto counters = steer_counters(api.publisher, api.steering);
  if (!counters) return nullptr;
  Json view = Json::object();
  for (size_t i = 0; i < counters->size(); ++i) view[std::string(kSteerVerdictNames[i])] = (*counters)[i];
  return view;
}

}  // namespace

Task<Answer> show_counters(Api& api, const Request&) {
  const bool running = api.publisher.attached() && api.publisher.dataplane_running();
  Json workers = Json::array();
  Json totals = Json::object();
  for (const std::string_view name : kEventNames) totals[std::string(name)] = 0;
  for (const std::string_view name : kDropReasonNames) totals[std::string(name)] = 0;
  api.publisher.for_each_block([&](const WorkerBlock& worker) {
    const Json counters = counters_of(worker);
    for (const auto& [name, value] : counters.items())
      totals[name] = totals[name].get<uint64_t>() + value.get<uint64_t>();
  });
  api.publisher.for_each_worker([&](uint32_t index, const WorkerBlock& worker) {
    Json counters = counters_of(worker);
    const uint64_t adopted = worker.status.adopted_word.load(std::memory_order_relaxed);
    workers.push_back({{"index", index},
                       {"adopted_generation", PublicationWord::unpack(adopted).generation},
                       {"state", state_name(worker.status, running)},
                       {"busy_ratio", api.busy.of(index)},
                       {"counters", std::move(counters)}});
  });
  co_return as_json({{"workers", std::move(workers)},
                     {"totals", std::move(totals)},
                     {"ports", view_ports(api)},
                     {"steering", view_steering(api)}});
}

}  // namespace teal
