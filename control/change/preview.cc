// SPDX-License-Identifier: Apache-2.0
#include "control/change/preview.h"

#include <algorithm>

#include <fmt/format.h>

#include "control/change/rollout.h"

namespace teal {

namespace {

constexpr uint8_t kLeastBitsOfV4 = kMappedBits + 8, kLeastBitsOfV6 = 16;  // of a network of clients that test

const char* family_name(bool is_v4) {
  return is_v4 ? "IPv4" : "IPv6";
}

Refusal other_family(const ServiceState& state, const IpPrefix& client) {
  return Refusal::bad_request(
      fmt::format("{} is {}, but the VIP {} of service \"{}\" is {}", to_string(client),
                  family_name(client.is_v4()), to_string(state.vip), state.name,
                  family_name(state.vip.address.is_v4())),
      "name clients that can reach the VIP");
}

Refusal nearly_everybody(const ServiceState& state, const IpPrefix& clients) {
  return Refusal::bad_request(
      fmt::format("{} is nearly everybody, and no gate or judgement protects a preview", to_string(clients)),
      fmt::format("name the clients that test, or give the idle colour a share of all: teal ramp {} --to {}",
                  state.name, name_of(other(state.active))));
}

Refusal on_the_backends_link(const ServiceState& state, const IpPrefix& client, const PoolMember& member) {
  return {422, "refused",
          fmt::format("{} is in the subnet of backend {} of service \"{}\", which would answer it directly, "
                      "past Teal",
                      to_string(client), to_string(member.socket), state.name),
          "test from a client outside of the backends' subnet"};
}

// Returns the first backend whose subnet has all of these clients; null: none.
const PoolMember* neighbour_of(const IpPrefix& clients, const CatalogueService& service,
                               const std::function<uint8_t(uint16_t)>& on_link_bits) {
  for (const auto& pool : service.pools) {
    for (const PoolMember& member : pool) {
      const uint8_t bits = on_link_bits(member.id);
      if (bits != 0 && clients.bits >= bits && same_prefix(clients.address, member.socket.address, bits))
        return &member;
    }
  }
  return nullptr;
}

std::vector<IpPrefix> without_repetitions(const std::vector<IpPrefix>& clients) {
  std::vector<IpPrefix> unique;
  for (const IpPrefix& client : clients)
    if (std::find(unique.begin(), unique.end(), client) == unique.end()) unique.push_back(client);
  return unique;
}

// The clients of all previews but that of this service.
size_t others_of(const Catalogue& catalogue, uint16_t service) {
  size_t count = 0;
  for (const ServiceState& state : catalogue.inventory().services)
    if (state.id != service) count += state.preview_clients.size();
  return count;
}

std::string command_for(const ServiceState& state) {
  return state.preview_clients.empty()
             ? fmt::format("teal preview clear {}", state.name)
             : fmt::format("teal preview set {} {}", state.name, to_text(state.preview_clients));
}

}  // namespace

tl::expected<Change, Refusal> plan_preview(const PreviewRequest& request, const Catalogue& catalogue,
                                           const std::function<uint8_t(uint16_t)>& on_link_bits) {
  const CatalogueService* service = catalogue.find(request.service);
  if (service == nullptr) return tl::unexpected(unknown_service(request.service, catalogue.names()));
  if (request.clients.size() > kMaxPreviewClientsOfService)
    return tl::unexpected(
        Refusal::bad_request(fmt::format("\"clients\" has {} networks, expected at most {}; a network such "
                                         "as 198.18.1.0/24 names many clients",
                                         request.clients.size(), kMaxPreviewClientsOfService)));
  const ServiceState& before = catalogue.state(*service);
  ServiceState state = before;
  state.preview_clients = without_repetitions(request.clients);
  for (const IpPrefix& client : state.preview_clients) {
    if (client.is_v4() != state.vip.address.is_v4()) return tl::unexpected(other_family(state, client));
    if (client.bits < (client.is_v4() ? kLeastBitsOfV4 : kLeastBitsOfV6))
      return tl::unexpected(nearly_everybody(state, client));
    if (const PoolMember* neighbour = neighbour_of(client, *service, on_link_bits))
      return tl::unexpected(on_the_backends_link(state, client, *neighbour));
  }
  if (const size_t all = others_of(catalogue, state.id) + state.preview_clients.size();
      all > kMaxPreviewClients)
    return tl::unexpected(
        Refusal(422, "refused",
                fmt::format("the previews of all services would have {} networks, expected at "
                            "most {}",
                            all, kMaxPreviewClients),
                "end another preview first: teal preview clear SERVICE"));

  const Colour idle = other(state.active);
  auto clients = nlohmann::ordered_json::array();
  for (const IpPrefix& client : state.preview_clients) clients.push_back(to_string(client));
  Change change{.verb = "preview"};
  change.fields = {{"changed", nlohmann::ordered_json::array()}};
  if (!state.preview_clients.empty() && !takes_flows(service->pools[static_cast<size_t>(idle)]))
    change.warnings.push_back(
        fmt::format("no {} backend of service \"{}\" takes new flows now: the preview "
                    "gets no answer",
                    name_of(idle), state.name));
  if (state == before) return change;
  change.fields["changed"].push_back(
      {{"service", state.name}, {"preview", {{"colour", name_of(idle)}, {"clients", std::move(clients)}}}});
  change.way_back = command_for(before);
  change.sets_preview = true;
  change.services.push_back(std::move(state));
  return change;
}

std::optional<Refusal> preview_gate(const RolloutPlan& plan, const Catalogue& catalogue,
                                    const Publisher& publisher, std::vector<ClosedGate>& closed) {
  std::vector<std::string> untested, details;
  for (const ColourChange& change : plan.changes) {
    if (!begins_release(change) || !catalogue.find(change.name)->config->rules.require_preview) continue;
    const ServiceState& state = *catalogue.service(change.service);
    if (publisher.has_answered_preview(state.id, change.to, state.idle_since())) continue;
    untested.push_back(change.name);
    details.push_back(
        fmt::format("{}: {} has answered no flow of a preview since it is idle, and "
                    "require_preview is set",
                    change.name, name_of(change.to)));
  }
  if (untested.empty()) return std::nullopt;
  const std::string services = listed(untested);
  closed.push_back({"require_preview", std::move(untested)});
  return Refusal{422, "refused",
                 fmt::format("nothing was changed: {} was not previewed in {}",
                             name_of(plan.changes.front().to), services),
                 "teal preview set SERVICE CLIENT... lets a client test it; --force flips all the same",
                 std::move(details)};
}

}  // namespace teal
