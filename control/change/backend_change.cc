// SPDX-License-Identifier: Apache-2.0
#include "control/change/backend_change.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/change/rollout.h"

namespace teal {

namespace {

Refusal unknown_backend(const BackendRequest& request, const std::vector<PoolMember>& pool) {
  std::vector<std::string> sockets;
  sockets.reserve(pool.size());
  for (const PoolMember& member : pool) sockets.push_back(to_string(member.socket));
  return {404,
          "unknown_backend",
          fmt::format("service \"{2}\" has no {0} backend {1}; the {0} backends are: {3}",
                      name_of(request.colour), to_string(request.address), request.service, listed(sockets)),
          fmt::format("teal backend list {}", request.service),
          {}};
}

// The backend is the last one of a colour that gets new flows.
Refusal last_backend(const BackendRequest& request, const PoolMember& member, bool is_active) {
  const char* colour = name_of(request.colour);
  const std::string way_out = is_active ? fmt::format("flip the service first (teal flip {} --to {})",
                                                      request.service, name_of(other(request.colour)))
                                        : fmt::format("end the ramp first (teal abort {})", request.service);
  return {422,
          "refused",
          fmt::format("{} is the last backend that takes new flows of {}, {} of service \"{}\"",
                      to_string(member.socket), colour,
                      is_active ? "the active colour" : "the colour of a ramp", request.service),
          way_out + ", or set another backend ready",
          {}};
}

nlohmann::ordered_json weight_json(const std::optional<uint32_t>& weight) {
  return weight ? nlohmann::ordered_json(*weight) : nlohmann::ordered_json("file");
}

}  // namespace

tl::expected<Change, Refusal> plan_backend(const BackendRequest& request, const Catalogue& catalogue,
                                           const Publisher& publisher) {
  if (!request.state && !request.weight)
    return tl::unexpected(
        Refusal::bad_request("the request sets neither \"state\" nor \"weight\", so it changes nothing"));
  if (request.weight && request.weight->value.value_or(0) > kMaxWeight)
    return tl::unexpected(Refusal::bad_request(
        fmt::format("\"weight\" is {}, expected 0 to {}", *request.weight->value, kMaxWeight)));
  const CatalogueService* service = catalogue.find(request.service);
  if (service == nullptr) return tl::unexpected(unknown_service(request.service, catalogue.names()));
  const auto colour = static_cast<size_t>(request.colour);
  const std::vector<PoolMember>& pool = service->pools[colour];
  const auto member = std::find_if(pool.begin(), pool.end(), [&](const PoolMember& candidate) {
    return candidate.socket.address == request.address.address &&
           candidate.socket.port == request.address.port;
  });
  if (member == pool.end()) return tl::unexpected(unknown_backend(request, pool));

  BackendState state = *catalogue.backend(member->id);
  Membership& after = state.members[colour];
  const Membership before = after;
  after.admin = request.state.value_or(before.admin);
  if (request.weight) after.weight = request.weight->value;

  Change change{.verb = "backend"};
  change.fields = {{"changed", nlohmann::ordered_json::array()}};
  if (after == before) return change;
  const uint32_t weight = after.admin == AdminState::kReady ? after.weight.value_or(member->file_weight) : 0;
  const bool others_take_flows = std::any_of(pool.begin(), pool.end(), [&](const PoolMember& candidate) {
    return candidate.id != member->id && candidate.weight > 0;
  });
  if (weight == 0 && !others_take_flows) {
    const ServiceState& now = catalogue.state(*service);
    const bool is_active = now.active == request.colour;
    if (is_active || now.ramp) return tl::unexpected(last_backend(request, *member, is_active));
  }

  const auto name = [](AdminState admin) { return kAdminStateNames[static_cast<size_t>(admin)]; };
  change.way_back = fmt::format("teal backend set {}/{}/{} {} --weight {}", request.service,
                                kColourNames[colour], to_string(member->socket), name(before.admin),
                                before.weight ? std::to_string(*before.weight) : "file");
  nlohmann::ordered_json entry = {
      {"service", request.service}, {"colour", kColourNames[colour]}, {"address", to_string(member->socket)}};
  if (after.admin != before.admin) entry["state"] = {{"from", name(before.admin)}, {"to", name(after.admin)}};
  if (after.weight != before.weight)
    entry["weight"] = {{"from", weight_json(before.weight)}, {"to", weight_json(after.weight)}};
  change.fields["changed"].push_back(std::move(entry));
  const uint64_t flows = publisher.flows(member->id, request.colour).live;
  if (after.admin == AdminState::kMaint && flows != 0)
    change.warnings.push_back(flows == 1 ? "maint resets the backend's flow"
                                         : fmt::format("maint resets the backend's {} flows", flows));
  if (weight == 0 && !others_take_flows)
    change.warnings.push_back(fmt::format("no {} backend takes new flows now, so Teal refuses a flip to {}",
                                          kColourNames[colour], kColourNames[colour]));
  change.backends.push_back(state);
  return change;
}

}  // namespace teal
