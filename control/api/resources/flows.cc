// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/flows?service=&colour=&backend=&client=&limit=
#include <fmt/format.h>

#include "control/api/resources/fields.h"
#include "control/api/resources/flow_query.h"
#include "control/api/resources/router.h"

namespace teal {

namespace {

constexpr uint64_t kBucketsAtOnce = 32;
// The scan yields to the event loop after kSliceCost, about a millisecond. A bucket costs 1, a flow in the
// answer costs kFlowCost more.
constexpr uint64_t kSliceCost = 1024;
constexpr uint64_t kFlowCost = 4;
constexpr uint64_t kDefaultFlowLimit = 100;
constexpr uint64_t kMaxFlowLimit = 10'000;

tl::expected<FlowFilter, Refusal> read_filter(const Api& api, const Request& request) {
  FlowFilter filter;
  if (const auto name = query_value(request, "service")) {
    const CatalogueService* service = api.executor.catalogue().find(*name);
    if (service == nullptr) return tl::unexpected(no_such_service(api, *name));
    filter.service = service->id;
  }
  if (const auto text = query_value(request, "colour")) {
    const auto colour = parse_colour("colour", *text);
    if (!colour) return tl::unexpected(colour.error());
    filter.colour = *colour;
  }
  if (const auto text = query_value(request, "backend")) {
    const std::optional<Socket> socket = parse_socket(*text);
    if (!socket) return tl::unexpected(bad_parameter("backend", *text, "ADDRESS:PORT or [ADDRESS]:PORT"));
    filter.backend = *socket;
  }
  if (const auto text = query_value(request, "client")) {
    if (const std::optional<Socket> socket = parse_socket(*text)) {
      filter.client = socket->address;
      filter.client_port = socket->port;
    } else if (const std::optional<IpAddress> address = IpAddress::parse(*text)) {
      filter.client = *address;
    } else {
      return tl::unexpected(bad_parameter("client", *text, "an address, ADDRESS:PORT or [ADDRESS]:PORT"));
    }
  }
  return filter;
}

Json to_json(const Flow& flow, const Api& api, uint32_t now) {
  const Catalogue& catalogue = api.executor.catalogue();
  const BackendState* backend = catalogue.backend(flow.backend);
  const ServiceState* service = backend == nullptr ? nullptr : catalogue.service(backend->service);
  const auto idle_ticks =
      std::max<int32_t>(static_cast<int32_t>(now - flow.state.tick), 0);  // a worker may be ahead by a tick
  const uint64_t generation = api.executor.generation();
  return {{"service", service == nullptr ? Json(nullptr) : Json(service->name)},
          {"client", to_string(Socket{flow.client, flow.client_port, 0})},
          {"backend", backend == nullptr ? Json(nullptr) : Json(to_string(backend->socket))},
          {"colour", name_of(flow.state.colour())},
          {"state", flow_phase_name(flow.state.phase)},
          {"birth_generation",
           generation - static_cast<uint32_t>(static_cast<uint32_t>(generation) - flow.birth_generation)},
          {"idle_seconds", static_cast<double>(idle_ticks) * static_cast<double>(kTickNs) / 1e9}};
}

}  // namespace

Task<Answer> list_flows(Api& api, const Request& request) {
  const auto filter = read_filter(api, request);
  if (!filter) co_return tl::unexpected(filter.error());
  const auto given = query_number(request, "limit", 0, kMaxFlowLimit);
  if (!given) co_return tl::unexpected(given.error());
  const uint64_t limit = given->value_or(kDefaultFlowLimit);

  std::string flows;  // text: a JSON tree of 10,000 flows would take ten times the memory
  uint64_t matched = 0;
  // The pointer keeps the segment mapped during the scan, even if it is replaced.
  if (const std::shared_ptr<Segment> segment = api.publisher.segment()) {
    const FlowTable table = segment->flow_table();
    const auto now = static_cast<uint32_t>(api.clock.tick());
    uint64_t cost = 0;
    for (uint64_t bucket = 0; bucket < table.geometry().buckets(); bucket += kBucketsAtOnce) {
      for_each_match(table, bucket, bucket + kBucketsAtOnce, *filter, api.executor.catalogue(),
                     [&](const Flow& flow) {
                       if (matched++ >= limit) return;
                       append(flows, to_json(flow, api, now));
                       cost += kFlowCost;
                     });
      cost += kBucketsAtOnce;
      if (cost < kSliceCost) continue;
      cost = 0;
      co_await yield_to_loop();
    }
  }
  co_return Response(
      fmt::format("{{\"flows\":[{}],\"matched\":{},\"truncated\":{}}}\n", flows, matched, matched > limit));
}

}  // namespace teal
