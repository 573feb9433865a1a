// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/drain, GET /v1/services/NAME/drain
#include "control/change/drain.h"

#include <map>

#include "control/api/resources/changes.h"
#include "control/api/resources/flow_query.h"
#include "control/api/resources/top_counts.h"
#include "control/config/config_drain.h"
#include "control/loop/wall_clock.h"

namespace teal {

namespace {

constexpr size_t kMaxShown = 10;  // backends, clients
// A slice of a full table takes about a millisecond. Other tasks of the event loop run after each slice.
constexpr uint64_t kBucketsPerSlice = 1024;

// The flows that are left of the draining colour, from a scan of the flow table.
struct RemainingFlows {
  std::optional<uint32_t> oldest;           // generation, low 32 bits
  std::map<uint16_t, uint64_t> by_backend;  // id
  TopCounts<IpAddress, AddressHash> clients;
};

Task<RemainingFlows> count_remaining_flows(Api& api, uint16_t service, DrainView drain, uint64_t generation) {
  RemainingFlows remaining;
  const std::shared_ptr<Segment> segment = api.publisher.segment();  // kept mapped during the scan
  if (segment == nullptr) co_return remaining;
  const FlowTable table = segment->flow_table();
  const FlowFilter filter{.service = service, .colour = drain.colour};
  const auto flip = static_cast<uint32_t>(drain.flip_generation);
  const auto age = [&](uint32_t born) { return static_cast<uint32_t>(generation) - born; };
  for (uint64_t bucket = 0; bucket < table.geometry().buckets(); bucket += kBucketsPerSlice) {
    if (bucket != 0) co_await yield_to_loop();
    for_each_match(table, bucket, bucket + kBucketsPerSlice, filter, api.executor.catalogue(),
                   [&](const Flow& flow) {
                     if (is_closing(flow.state.phase) || !is_older_flow(flow.birth_generation, flip)) return;
                     if (!remaining.oldest || age(flow.birth_generation) > age(*remaining.oldest))
                       remaining.oldest = flow.birth_generation;
                     ++remaining.by_backend[flow.backend];
                     remaining.clients.add(flow.client);
                   });
  }
  co_return remaining;
}

// A flow entry has the generation in which the flow began, but no time. The flow is older than the next
// generation.
Task<Json> view_oldest(HistoryReader& history, const RemainingFlows& remaining, uint64_t generation) {
  if (!remaining.oldest) co_return nullptr;
  const uint64_t born =
      generation - static_cast<uint32_t>(static_cast<uint32_t>(generation) - *remaining.oldest);
  Json before = nullptr;
  const auto at = co_await history.superseded_at_ms(born);
  if (at && *at) before = rfc3339(**at);
  co_return Json{{"born_generation", born}, {"born_before", std::move(before)}};
}

Json view_backends(const Catalogue& catalogue, const RemainingFlows& remaining) {
  std::vector<std::pair<uint16_t, uint64_t>> most(remaining.by_backend.begin(), remaining.by_backend.end());
  std::sort(most.begin(), most.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  Json backends = Json::array();
  for (const auto& [id, flows] : most) {
    if (backends.size() == kMaxShown) break;
    if (const BackendState* backend = catalogue.backend(id))
      backends.push_back({{"address", to_string(backend->socket)}, {"flows", flows}});
  }
  return backends;
}

Json view_clients(const RemainingFlows& remaining) {
  Json clients = Json::array();
  for (const auto& [address, flows] : remaining.clients.top(kMaxShown))
    clients.push_back({{"address", address.to_string()}, {"flows", flows}});
  return clients;
}

Json to_json(const DrainView& drain) {
  return {{"colour", name_of(drain.colour)},
          {"generation", drain.flip_generation},
          {"state", drain_state_name(drain.state)},
          {"flows", drain.flows},
          {"closing", drain.closing},
          {"deadline", rfc3339(drain.deadline_ms)},
          {"seconds_left", drain.seconds_left},
          {"timeout_seconds", std::chrono::duration<double>(drain.timeout).count()},
          {"then", then_name(drain.then)},
          {"estimate_seconds", drain.estimate_seconds ? Json(*drain.estimate_seconds) : Json(nullptr)}};
}

tl::expected<DrainRequest, Refusal> read_drain(BodyFields& fields) {
  DrainRequest wanted{.what = read_selection(fields)};
  wanted.timeout = fields.duration("timeout", kMinTimeout, kMaxTimeout);
  wanted.from_now = fields.flag("from_now").value_or(false);
  static constexpr std::array<const char*, 2> kThen = {"wait", "reset"};
  if (const auto then = fields.one_of("then", kThen))
    wanted.then = *then == 0 ? DrainConfig::Then::kWait : DrainConfig::Then::kReset;
  if (fields.error()) return tl::unexpected(*fields.error());
  return wanted;
}

}  // namespace

Task<Answer> set_drain(Api& api, const Request& request) {
  auto body = read_change(request, {"services", "group", "timeout", "then", "from_now"});
  if (!body) co_return tl::unexpected(body.error());
  auto wanted = read_drain(body->fields);
  if (!wanted) co_return tl::unexpected(wanted.error());
  co_return to_answer(co_await api.verbs.set_drain(std::move(*wanted), std::move(body->options)));
}

Task<Answer> show_drain(Api& api, const Request& request) {
  const auto service = named_service(api, request);
  if (!service) co_return tl::unexpected(service.error());
  const Catalogue& catalogue = api.executor.catalogue();
  const ServiceState state = catalogue.state(**service);  // a copy: the catalogue may change during the scan
  const std::optional<DrainView> drain =
      drain_of(**service, catalogue, api.publisher, api.upkeep.trends(), api.clock);
  Json answer = {{"service", state.name},
                 {"active", name_of(state.active)},
                 {"dataplane_running", api.publisher.attached() && api.publisher.dataplane_running()},
                 {"idle_flows", flows_of(**service, other(state.active), api.publisher).live},
                 {"draining", nullptr}};
  if (drain) {
    const uint64_t generation = api.executor.generation();
    const RemainingFlows remaining = co_await count_remaining_flows(api, state.id, *drain, generation);
    Json draining = to_json(*drain);
    Json oldest = co_await view_oldest(api.lane_of(request).history, remaining, generation);
    draining["oldest"] = std::move(oldest);
    draining["backends"] = view_backends(api.executor.catalogue(), remaining);
    draining["clients"] = view_clients(remaining);
    answer["draining"] = std::move(draining);
  }
  co_return as_json(answer);
}

}  // namespace teal
