// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/services, GET /v1/services/NAME
#include <ctime>

#include <fmt/format.h>

#include "control/api/router.h"

namespace teal {

namespace {

constexpr size_t kBackendsPerSlice = 256;  // then the event loop has its turn: a long list delays no flip

const char* name_of(Colour colour) {
  return kColourNames[static_cast<size_t>(colour)];
}

Json name_or_null(const std::optional<Colour>& colour) {
  return colour ? Json(name_of(*colour)) : Json(nullptr);
}

// RFC 3339, UTC.
Json time_or_null(int64_t at_ms) {
  if (at_ms == 0) return nullptr;
  const auto seconds = static_cast<time_t>(at_ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, at_ms % 1000);
}

struct Traffic {
  uint64_t new_flows = 0;
  uint64_t packets[2] = {};
  uint64_t bytes[2] = {};
};

Traffic traffic_of(const Publisher& publisher, uint16_t service, size_t colour) {
  Traffic sum;
  publisher.for_each_worker([&](uint32_t, const WorkerBlock& worker) {
    const ServiceColourCounters& counters = worker.services[service][colour];
    sum.new_flows += counters.new_flows.read();
    for (size_t direction = 0; direction < 2; ++direction) {
      sum.packets[direction] += counters.packets[direction].read();
      sum.bytes[direction] += counters.bytes[direction].read();
    }
  });
  return sum;
}

Json by_direction(const uint64_t (&values)[2]) {
  return {{"to_backend", values[static_cast<size_t>(Direction::kToBackend)]},
          {"to_client", values[static_cast<size_t>(Direction::kToClient)]}};
}

struct ColourView {
  Json json;
  uint64_t flows = 0;
  uint32_t backends_with_flows = 0;
};

ColourView view_colour(const Api& api, const CatalogueService& service, Colour colour) {
  const std::shared_ptr<Segment> segment = api.publisher.segment();
  ColourView view;
  uint64_t closing = 0;
  Json backends = Json::array();
  const auto add = [&](const PoolMember& member) {
    const Publisher::FlowSum sum = api.publisher.flows(member.id, colour);
    if (member.retired && sum.live + sum.closing == 0) return;
    view.flows += sum.live;
    closing += sum.closing;
    if (sum.live != 0) ++view.backends_with_flows;
    const bool resolved = segment != nullptr && segment->header().next_hops[member.id].load(
                                                    std::memory_order_relaxed) != Hop::kNone;
    Json backend = {{"address", to_string(member.socket)},
                    {"id", member.id},
                    {"weight", member.weight},
                    {"flows", sum.live},
                    {"closing", sum.closing},
                    {"next_hop", resolved ? "resolved" : "unresolved"}};
    if (member.retired) backend["retired"] = true;
    backends.push_back(std::move(backend));
  };
  for (const PoolMember& member : service.pools[static_cast<size_t>(colour)]) add(member);
  for (const PoolMember& member : service.retired) add(member);
  const Traffic traffic = traffic_of(api.publisher, service.id, static_cast<size_t>(colour));
  view.json = {{"flows", view.flows},
               {"closing", closing},
               {"new_flows", traffic.new_flows},
               {"packets", by_direction(traffic.packets)},
               {"bytes", by_direction(traffic.bytes)},
               {"backends", std::move(backends)}};
  return view;
}

Json view_service(const Api& api, const CatalogueService& service) {
  const ServiceState& state = api.switcher.catalogue().state(service);
  ColourView colours[kColours] = {view_colour(api, service, Colour::kBlue),
                                  view_colour(api, service, Colour::kGreen)};
  Json draining = nullptr;
  const Colour old = other(state.active);
  const ColourView& left = colours[static_cast<size_t>(old)];
  if (left.flows != 0)
    draining = {{"colour", name_of(old)}, {"flows", left.flows}, {"backends", left.backends_with_flows}};
  return {{"name", state.name},
          {"id", state.id},
          {"vip", to_string(state.vip)},
          {"protocol", state.vip.protocol == kProtocolTcp ? "tcp" : "udp"},
          {"active", name_of(state.active)},
          {"previous", name_or_null(state.previous)},
          {"generation_of_flip", state.flip_generation},
          {"flipped_at", time_or_null(state.flipped_at_ms)},
          {"file_active", name_of(service.config->active)},
          {"colours", {{"blue", std::move(colours[0].json)}, {"green", std::move(colours[1].json)}}},
          {"draining", std::move(draining)}};
}

Json view_dataplane(const Api& api) {
  const std::shared_ptr<Segment> segment = api.publisher.segment();
  const bool running = segment != nullptr && api.publisher.dataplane_running();
  Json view = {{"running", running},      {"pid", nullptr},     {"workers", 0},
               {"adopted_generation", 0}, {"flow_capacity", 0}, {"flow_entries", 0}};
  if (segment == nullptr) return view;
  const SegmentHeader& header = segment->header();
  view["flow_capacity"] = header.flow_capacity;
  uint64_t entries = 0;
  for (const BackendState& backend : api.switcher.catalogue().inventory().backends) {
    for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
      const Publisher::FlowSum sum = api.publisher.flows(backend.id, colour);
      entries += sum.live + sum.closing;
    }
  }
  view["flow_entries"] = entries;
  if (!running) return view;
  view["pid"] = header.dataplane_pid.load(std::memory_order_relaxed);
  view["workers"] = header.worker_count.load(std::memory_order_relaxed);
  view["adopted_generation"] = api.publisher.adopted_generation(running);
  return view;
}

}  // namespace

Task<Answer> list_services(Api& api, const Request&) {
  Json answer = {{"generation", api.switcher.generation()}, {"dataplane", view_dataplane(api)}};
  Json services = Json::array();
  // By name: the catalogue may be indexed anew while others have their turn.
  const std::vector<std::string> names = api.switcher.catalogue().names();
  size_t in_slice = 0;
  for (const std::string& name : names) {
    const CatalogueService* service = api.switcher.catalogue().find(name);
    services.push_back(view_service(api, *service));
    in_slice += service->pools[0].size() + service->pools[1].size() + service->retired.size();
    if (in_slice < kBackendsPerSlice) continue;
    in_slice = 0;
    co_await yield_to_loop();
  }
  answer["services"] = std::move(services);
  Json groups = Json::array();
  for (const GroupConfig& group : api.switcher.catalogue().config().groups)
    groups.push_back({{"name", group.name}, {"services", group.services}});
  answer["groups"] = std::move(groups);
  co_return answer;
}

Task<Answer> show_service(Api& api, const Request& request) {
  const std::string name = request.path.substr(std::string_view("/v1/services/").size());
  const CatalogueService* service = api.switcher.catalogue().find(name);
  if (service == nullptr) co_return tl::unexpected(no_such_service(api, name));
  co_return view_service(api, *service);
}

}  // namespace teal
