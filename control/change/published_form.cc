// SPDX-License-Identifier: Apache-2.0
#include "control/change/published_form.h"

#include <algorithm>

#include "control/publish/ruleset_builder.h"
#include "control/state/splits.h"

namespace teal {

Inventory inventory_after(const Change& change, const Catalogue& catalogue) {
  Inventory inventory = change.inventory != nullptr ? *change.inventory : catalogue.inventory();
  for (const ServiceState& changed : change.services)
    if (ServiceState* service = inventory.service(changed.id)) *service = changed;
  for (const BackendState& changed : change.backends)
    for (BackendState& backend : inventory.backends)
      if (backend.id == changed.id) backend = changed;
  return inventory;
}

const Config& config_after(const Change& change, const Catalogue& catalogue) {
  return change.config != nullptr ? *change.config : catalogue.config();
}

tl::expected<std::shared_ptr<const Ruleset>, std::string> ruleset_after(const Change& change,
                                                                        const Catalogue& catalogue) {
  auto rules = std::make_shared<Ruleset>();
  const auto built = build_ruleset(
      ruleset_input(inventory_after(change, catalogue), config_after(change, catalogue)), *rules);
  if (!built) return tl::unexpected("cannot build the ruleset: " + built.error());
  return rules;
}

std::shared_ptr<const TrafficSplits> splits_after(const Change& change, const Catalogue& catalogue,
                                                  const TrafficSplits* present, const Clock& clock) {
  return std::make_shared<TrafficSplits>(make_splits(inventory_after(change, catalogue),
                                                     config_after(change, catalogue), present, clock.tick(),
                                                     clock.wall_ms()));
}

std::vector<SplitUpdate> split_updates(const Change& change, const Catalogue& catalogue,
                                       const TrafficSplits* present, const Clock& clock) {
  const uint64_t now_tick = clock.tick();
  const int64_t now_ms = clock.wall_ms();
  std::vector<SplitUpdate> updates;
  for (const ServiceState& state : change.services) {
    const TrafficSplit* before = present == nullptr ? nullptr : &present->services[state.id];
    const DrainConfig drain = effective_drain(*catalogue.find(state.name)->config, state);
    TrafficSplit split = make_split(state, drain, before, now_tick, now_ms);
    // The flows of a ramp or of a preview are younger than the flip: they stay.
    if (change.is_reset) split.reset_before = std::max<uint32_t>(split.flip_generation, 1);
    updates.push_back({state.id, split});
  }
  return updates;
}

}  // namespace teal
