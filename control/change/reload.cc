// SPDX-License-Identifier: Apache-2.0
#include "control/change/reload.h"

#include <algorithm>

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "control/change/recovery.h"
#include "control/change/reload_plan.h"

namespace teal {

namespace {

Refusal refused_file(const std::string& path, std::vector<std::string> errors, std::string hint) {
  const std::string count = errors.size() == 1 ? "1 error" : fmt::format("{} errors", errors.size());
  return {422, "bad_config", fmt::format("{}: {}; nothing was changed", path, count), std::move(hint),
          std::move(errors)};
}

Refusal no_free_id(const std::string& error) {
  return {422,
          "refused",
          error + "; nothing was changed",
          "teal status shows the retired ones; remove services in one reload, add others in a later one",
          {}};
}

Refusal empty_pool(const std::string& service, const char* colour, bool is_active) {
  return {
      422,
      "refused",
      fmt::format("the file leaves service \"{}\" without a {} backend that takes new flows (ready, with a "
                  "weight above 0), and {} is {}",
                  service, colour, colour, is_active ? "its active colour" : "the colour of its ramp"),
      fmt::format("set a {} backend ready (teal backend list {}), or {} first", colour, service,
                  is_active ? "flip the service" : "end the ramp"),
      {}};
}

// The settings that commands gave to backends which leave their pool, one line each.
std::vector<std::string> forgotten(const Catalogue& now, const Inventory& after) {
  std::vector<std::string> lines;
  for (const CatalogueService& service : now.services()) {
    for (size_t colour = 0; colour < kColours; ++colour) {
      for (const PoolMember& member : service.pools[colour]) {
        const Membership set{member.admin, member.set_weight};
        if (set == Membership{}) continue;
        const auto keeps = [&](const BackendState& backend) {
          return backend.id == member.id && backend.members[colour] == set;
        };
        if (std::any_of(after.backends.begin(), after.backends.end(), keeps)) continue;
        lines.push_back(
            fmt::format("{}/{}/{} leaves its pool: what commands set for it is forgotten ({}{}), "
                        "and it has the file's values if it comes back",
                        service.config->name, kColourNames[colour], to_string(member.socket),
                        kAdminStateNames[static_cast<size_t>(set.admin)],
                        set.weight ? fmt::format(", weight {}", *set.weight) : ""));
      }
    }
  }
  return lines;
}

}  // namespace

Refusal bad_config(const std::string& path, std::vector<std::string> errors) {
  std::string hint = !is_unreadable(path, errors) ? "teal check " + path
                     : errors.front().find(std::strerror(ENOENT)) != std::string::npos
                         ? "put the file back: the config in force stays"
                         : fmt::format("let teald read the file: teald runs as uid {}", geteuid());
  return refused_file(path, std::move(errors), std::move(hint));
}

Refusal bad_api(const std::string& path, std::vector<std::string> errors) {
  return refused_file(path, std::move(errors), "free the address or give teald the right, or edit [api]");
}

tl::expected<Change, Refusal> plan_reload(const tl::expected<ConfigFile, ConfigErrors>& file,
                                          const Catalogue& catalogue, const Publisher& publisher) {
  const std::string& path = catalogue.config().path;
  if (!file) return tl::unexpected(bad_config(path, file.error()));
  if (const std::string why = too_large(file->config); !why.empty())
    return tl::unexpected(bad_config(path, {why}));
  tl::expected<Renumbered, std::string> renumbered = renumber(catalogue.inventory(), file->config);
  if (!renumbered) return tl::unexpected(no_free_id(renumbered.error()));

  const Catalogue after(file->config, renumbered->inventory);
  for (const CatalogueService& service : after.services()) {
    const ServiceState& state = after.state(service);
    for (const Colour colour : {state.active, other(state.active)}) {
      const bool is_active = colour == state.active;
      if ((is_active || state.ramp) && !takes_flows(service.pools[static_cast<size_t>(colour)]))
        return tl::unexpected(empty_pool(service.config->name, name_of(colour), is_active));
    }
  }

  const auto flows = [&](uint16_t backend) {
    uint64_t sum = 0;
    for (const Colour colour : {Colour::kBlue, Colour::kGreen}) sum += publisher.flows(backend, colour).live;
    return sum;
  };
  nlohmann::ordered_json plan =
      reload_plan(catalogue.config(), catalogue.inventory(), file->config, renumbered->inventory, flows);
  Change change{.verb = "reload"};
  change.way_back = "teal reload with the former file";
  change.warnings = forgotten(catalogue, renumbered->inventory);
  auto config = std::make_shared<const Config>(file->config);
  if (changes_nothing(plan)) {
    if (config->text != catalogue.config().text) change.reworded = std::move(config);
  } else {
    change.config = std::move(config);
    change.inventory = std::make_shared<const Inventory>(std::move(renumbered->inventory));
  }
  change.fields = {{"plan", std::move(plan)}};
  return change;
}

}  // namespace teal
