// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/service_view.h"

#include <algorithm>

#include "control/api/resources/rollout_view.h"
#include "control/change/change_lock.h"
#include "control/change/drain.h"
#include "control/change/reload_plan.h"
#include "control/change/rollout_phase.h"
#include "control/loop/wall_clock.h"
#include "control/metrics/ports.h"
#include "control/metrics/signals.h"
#include "control/metrics/traffic.h"

namespace teal {

namespace {

Json name_or_null(const std::optional<Colour>& colour) {
  return colour ? Json(name_of(*colour)) : Json(nullptr);
}

Traffic traffic_of(const Publisher& publisher, uint16_t service, Colour colour) {
  Traffic sum;
  publisher.for_each_block([&](const WorkerBlock& worker) { sum.add(worker, service, colour); });
  return sum;
}

Json by_direction(const uint64_t (&values)[2]) {
  return {{"to_backend", values[static_cast<size_t>(Direction::kToBackend)]},
          {"to_client", values[static_cast<size_t>(Direction::kToClient)]}};
}

Json view_outcomes(const Outcomes& outcomes) {
  return {{"begun", outcomes.begun},
          {"answered", outcomes.answered},
          {"refused", outcomes.refused},
          {"unanswered", outcomes.unanswered},
          {"reset", outcomes.reset_by_backend},
          {"without_reply", outcomes.udp_unanswered},
          {"answered_data", outcomes.prompt_answers},
          {"slow", outcomes.slow_answers}};
}

Json view_times(const Times& times) {
  const auto bound = [&](uint64_t percent) {
    const std::optional<uint64_t> us = TimeHistogram::percentile_us(times.buckets, percent);
    return us ? Json(*us) : Json(nullptr);
  };
  return {{"count", times.count()}, {"p50_us", bound(50)}, {"p99_us", bound(99)}};
}

Json view_backend(const Api& api, const PoolMember& member, Colour colour, const Publisher::FlowSum& flows) {
  Json backend = {{"address", to_string(member.socket)},
                  {"id", member.id},
                  {"state", kAdminStateNames[static_cast<size_t>(member.admin)]},
                  {"weight", member.weight},
                  {"file_weight", member.file_weight},
                  {"flows", flows.live},
                  {"closing", flows.closing},
                  {"outcomes", view_outcomes(outcomes_of(api.publisher, member.id, colour))}};
  add_next_hop(backend, api, member.id);
  add_health(backend, api, member.id);
  if (member.retired) backend["retired"] = true;
  return backend;
}

// The members of the pool, and backends that left the pool but still have flows of this colour.
Json view_colour(const Api& api, const CatalogueService& service, Colour colour) {
  Publisher::FlowSum sum;
  Json backends = Json::array();
  const auto add = [&](const PoolMember& member) {
    const Publisher::FlowSum flows = api.publisher.flows(member.id, colour);
    if (member.retired && flows.live + flows.closing == 0) return;
    sum.live += flows.live;
    sum.closing += flows.closing;
    backends.push_back(view_backend(api, member, colour, flows));
  };
  const std::vector<PoolMember>& members = service.pools[static_cast<size_t>(colour)];
  for (const PoolMember& member : members) add(member);
  for (const PoolMember& there : service.pools[static_cast<size_t>(other(colour))]) {
    const auto is_here = [&](const PoolMember& member) { return member.id == there.id; };
    if (std::none_of(members.begin(), members.end(), is_here))
      add({.id = there.id, .socket = there.socket, .retired = true});
  }
  for (const PoolMember& member : service.retired) add(member);
  const Traffic traffic = traffic_of(api.publisher, service.id, colour);
  const TimesOfColour times = times_of(api.publisher, service.id, colour);
  const PoolMode mode = api.health_upkeep.words().modes[service.id][static_cast<size_t>(colour)];
  return {{"mode", kPoolModeNames[static_cast<size_t>(mode)]},
          {"flows", sum.live},
          {"closing", sum.closing},
          {"new_flows", traffic.new_flows},
          {"packets", by_direction(traffic.packets)},
          {"bytes", by_direction(traffic.bytes)},
          {"times",
           {{"handshake", view_times(times.handshake)}, {"first_answer", view_times(times.first_answer)}}},
          {"backends", std::move(backends)}};
}

Json view_undo(const ServiceState& state) {
  if (!state.undo) return nullptr;
  return {{"to", name_of(state.undo->to)}, {"generation", state.undo->generation}};
}

// Where the idle colour can be tested, and whether it has answered there.
Json view_preview(const Api& api, const ServiceState& state) {
  if (!state.preview && state.preview_clients.empty()) return nullptr;
  Json clients = Json::array();
  for (const IpPrefix& client : state.preview_clients) clients.push_back(to_string(client));
  const Colour idle = other(state.active);
  return {{"colour", name_of(idle)},
          {"address", state.preview ? Json(to_string(*state.preview)) : Json(nullptr)},
          {"clients", std::move(clients)},
          {"answered", api.publisher.has_answered_preview(state.id, idle, state.idle_since())}};
}

Json view_draining(const Api& api, const CatalogueService& service) {
  const std::optional<DrainView> drain =
      drain_of(service, api.executor.catalogue(), api.publisher, api.upkeep.trends(), api.clock);
  if (!drain) return nullptr;
  return {{"colour", name_of(drain->colour)},
          {"generation", drain->flip_generation},
          {"flows", drain->flows},
          {"backends", drain->backends},
          {"state", drain_state_name(drain->state)},
          {"deadline", rfc3339(drain->deadline_ms)},
          {"seconds_left", drain->seconds_left},
          {"then", then_name(drain->then)},
          {"estimate_seconds", drain->estimate_seconds ? Json(*drain->estimate_seconds) : Json(nullptr)}};
}

// Null: no flip or ramp of the service waits for its hook pre_flip.
Json view_waiting(const Api& api, const ServiceState& state) {
  const WaitingReleases::Release* release = api.verbs.waiting_releases().of(state.name);
  if (release == nullptr) return nullptr;
  return {{"to", name_of(release->to)}, {"user", release->user}, {"since", rfc3339(release->since_ms)}};
}

}  // namespace

bool has_next_hop(const Api& api, uint16_t id) {
  const std::shared_ptr<Segment> segment = api.publisher.segment();
  return segment != nullptr && segment->header().next_hops[id].load(std::memory_order_relaxed) != Hop::kNone;
}

void add_next_hop(Json& backend, const Api& api, uint16_t id) {
  const bool resolved = has_next_hop(api, id);
  backend["next_hop"] = resolved ? "resolved" : "unresolved";
  if (const std::string problem = problem_text(api.hop_states.of(id)); !resolved && !problem.empty())
    backend["next_hop_problem"] = problem;
}

Json time_or_null(int64_t at_ms) {
  return at_ms == 0 ? Json(nullptr) : Json(rfc3339(at_ms));
}

const char* protocol_name(const Socket& vip) {
  return vip.protocol == kProtocolTcp ? "tcp" : "udp";
}

Json view_service(const Api& api, const CatalogueService& service) {
  const ServiceState& state = api.executor.catalogue().state(service);
  const DrainConfig drain = effective_drain(*service.config, state);
  const bool drained = is_drained(service, state, api.publisher);
  Json draining = view_draining(api, service);
  return {{"name", state.name},
          {"id", state.id},
          {"vip", to_string(state.vip)},
          {"protocol", protocol_name(state.vip)},
          {"active", name_of(state.active)},
          {"preview", view_preview(api, state)},
          {"previous", name_or_null(state.previous)},
          {"undo", view_undo(state)},
          {"generation_of_flip", state.flip_generation},
          {"flipped_at", time_or_null(state.flipped_at_ms)},
          {"file_active", name_of(service.config->active)},
          {"drift", drift(service, state, !draining.is_null())},
          {"drain",
           {{"timeout_seconds", std::chrono::duration<double>(drain.timeout).count()},
            {"then", then_name(drain.then)},
            {"udp", drain.udp == DrainConfig::Udp::kCut ? "cut" : "stick"}}},
          {"colours",
           {{"blue", view_colour(api, service, Colour::kBlue)},
            {"green", view_colour(api, service, Colour::kGreen)}}},
          {"phase", name_of(phase_of(state, api.upkeep.trials(), !draining.is_null()))},
          {"ramp", view_ramp(api, state)},
          {"waiting_release", view_waiting(api, state)},
          {"trial", view_trial(api, state)},
          {"finding", view_finding(api, state)},
          {"draining", std::move(draining)},
          {"drained", drained}};
}

Json view_steering_losses(const Api& api) {
  const std::optional<uint64_t>& dropped = api.steering_losses.dropped();
  if (!dropped) return nullptr;
  return {{"losses", {{std::string(kSteerVerdictNames[STEER_NO_SOCKET]), *dropped}}},
          {"lost_last_minute", api.steering_losses.of_last_minute()}};
}

Json view_dataplane(const Api& api) {
  const std::shared_ptr<Segment> segment = api.publisher.segment();
  const bool running = segment != nullptr && api.publisher.dataplane_running();
  Json view = {{"running", running}, {"pid", nullptr},    {"workers", 0},          {"adopted_generation", 0},
               {"flow_capacity", 0}, {"flow_entries", 0}, {"ports", Json::array()}};
  view["steering"] = view_steering_losses(api);
  const std::string& refused = api.publisher.refused();
  view["segment_refused"] = refused.empty() ? Json(nullptr) : Json(refused);
  if (segment == nullptr) return view;
  const SegmentHeader& header = segment->header();
  view["flow_capacity"] = segment->flows().flow_capacity;
  uint64_t entries = 0;
  for (const BackendState& backend : api.executor.catalogue().inventory().backends) {
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
  for_each_port(api.publisher, [&](const PortRow& row) {
    Json losses = Json::object();
    for (const NicCounter loss : kNicLosses) losses[std::string(name_of(loss))] = counter_of(row, loss);
    view["ports"].push_back({{"name", row.name},
                             {"interface", row.interface},
                             {"driver", row.driver},
                             {"owned_by_dpdk", row.owned != 0},
                             {"link", link_name(row)},
                             {"speed_mbps", row.speed_mbps.load(std::memory_order_relaxed)},
                             {"queues", row.queues},
                             {"spreads", row.spreads != 0},
                             {"losses", std::move(losses)},
                             {"lost_last_minute", api.losses.of_last_minute(row.name)}});
  });
  return view;
}

Json view_lock(const Api& api) {
  return lock_json(api.executor.catalogue().inventory().lock);
}

Json view_storage(const Api& api) {
  const size_t missing = api.journal.unrecorded().size();
  std::string why = api.recorder.trouble();
  if (why.empty() && missing != 0) why = api.journal.why().empty() ? "being recorded" : api.journal.why();
  return {{"unrecorded", missing}, {"error", why.empty() ? Json(nullptr) : Json(std::move(why))}};
}

Json view_config(const Api& api) {
  const std::string& held_back = api.verbs.held_back();
  const std::optional<Verbs::RefusedFile>& refused = api.verbs.refused_file();
  return {{"path", api.executor.catalogue().config().path},
          {"loaded_at", rfc3339(api.verbs.loaded_at_ms())},
          {"file_differs", api.verbs.file_differs()},
          {"file_errors", api.verbs.file_errors()},
          {"held_back", held_back.empty() ? Json(nullptr) : Json(held_back)},
          {"refused",
           refused ? Json{{"at", rfc3339(refused->at_ms)}, {"errors", refused->errors}} : Json(nullptr)},
          {"restart", api.verbs.restart_lines()}};
}

Json view_retired_services(const Api& api) {
  const Inventory& inventory = api.executor.catalogue().inventory();
  Json services = Json::array();
  for (const ServiceState& service : inventory.services) {
    if (!service.retired) continue;
    uint64_t flows = 0;
    for (const BackendState& backend : inventory.backends) {
      if (backend.service != service.id) continue;
      for (const Colour colour : {Colour::kBlue, Colour::kGreen})
        flows += api.publisher.flows(backend.id, colour).live;
    }
    services.push_back({{"name", service.name},
                        {"vip", to_string(service.vip)},
                        {"protocol", protocol_name(service.vip)},
                        {"flows", flows}});
  }
  return services;
}

Json view_groups(const Api& api) {
  Json groups = Json::array();
  for (const GroupConfig& group : api.executor.catalogue().config().groups)
    groups.push_back({{"name", group.name}, {"services", group.services}});
  return groups;
}

}  // namespace teal
