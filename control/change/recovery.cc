// SPDX-License-Identifier: Apache-2.0
#include "control/change/recovery.h"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/change/old_intent.h"
#include "control/publish/maglev.h"

namespace teal {

namespace {

void learn_from_segment(Inventory& inventory, const Publisher& publisher, const Clock& clock) {
  if (publisher.splits() == nullptr) return;
  if (inventory.services.empty()) {
    inventory = inventory_of(*publisher.ruleset(), *publisher.splits());
    spdlog::warn(
        "the database has no services, but the segment has {} with {} backends: took their ids from the "
        "segment",
        inventory.services.size(), inventory.backends.size());
  }
  for (const uint16_t id :
       learn_splits(inventory, publisher.generation(), *publisher.splits(), clock.tick(), clock.wall_ms())) {
    const ServiceState& service = *inventory.service(id);
    spdlog::warn("service \"{}\" is {} since generation {}: the segment has this flip, the database did not",
                 service.name, kColourNames[static_cast<size_t>(service.active)], service.flip_generation);
  }
  inventory.given_generation = std::max(inventory.given_generation, publisher.generation());
  inventory.published_generation = std::max(inventory.published_generation, publisher.generation());
}

// Without a segment no flow exists, so nothing holds a retired id.
void drop_retired(Inventory& inventory) {
  std::erase_if(inventory.services, [](const ServiceState& service) { return service.retired; });
  std::erase_if(inventory.backends, [&](const BackendState& backend) {
    return backend.retired || inventory.service(backend.service) == nullptr;
  });
}

// The word may name a later generation. The same teald published that one; it gives each number once and
// publishes in their order. So this generation was published as well, or its failure would have been
// recorded.
bool was_published(const OpenIntent& intent, const Publisher& publisher) {
  return publisher.generation() >= intent.generation;
}

// The database has the values of every recorded change up to its published generation: each result brings
// along the values whose own result could not be recorded. So only later records are applied, oldest first.
// Results of schema 2 brought nothing along, so its intents are applied whatever was recorded since.
void apply_records(const std::vector<OpenIntent>& intents, const Publisher& publisher, Inventory& inventory) {
  const uint64_t recorded = inventory.published_generation;
  for (const OpenIntent& intent : intents) {
    if (!was_published(intent, publisher) || (intent.record && intent.generation <= recorded)) continue;
    apply(intent.record ? *intent.record : record_of_old_intent(intent, inventory), inventory);
  }
}

State::Done close_intents(State& state, const std::vector<OpenIntent>& intents, const Publisher& publisher,
                          const Clock& clock) {
  for (const OpenIntent& intent : intents) {
    const bool in_force = was_published(intent, publisher);
    spdlog::warn("generation {} ({}) was under way when teald ended: {}", intent.generation, intent.verb,
                 in_force ? "it was published, so it is recorded as done"
                          : "it was not published, so it is recorded as interrupted");
    const State::Done done = state.finish(
        intent.id, in_force ? Outcome::kDone : Outcome::kInterrupted, clock.wall_ms(), 0,
        in_force ? "finished at the next start" : "not published when teald ended", ChangeRecord());
    if (!done) return done;
  }
  return {};
}

}  // namespace

tl::expected<Inventory, std::string> recover(State& state, const Publisher& publisher, const Config& config,
                                             const Clock& clock) {
  tl::expected<Inventory, std::string> stored = state.load();
  if (!stored) return stored;
  const auto intents = state.open_intents();
  if (!intents) return tl::unexpected(intents.error());
  apply_records(*intents, publisher, *stored);
  learn_from_segment(*stored, publisher, clock);
  for (const OpenIntent& intent : *intents)
    if (intent.record) describe_flips(*intent.record, *stored);
  if (!publisher.attached()) drop_retired(*stored);
  tl::expected<Renumbered, std::string> renumbered = renumber(*stored, config);
  if (!renumbered) return tl::unexpected(renumbered.error());
  for (const std::string& note : renumbered->notes) spdlog::info("{}", note);
  if (const State::Done saved = state.save(renumbered->inventory); !saved)
    return tl::unexpected(saved.error());
  if (const State::Done closed = close_intents(state, *intents, publisher, clock); !closed)
    return tl::unexpected(closed.error());
  return std::move(renumbered->inventory);
}

std::string too_large(const Config& config) {
  uint64_t entries = 0;
  for (const ServiceConfig& service : config.services) {
    for (const auto& pool : service.pools) {
      entries += maglev_size(static_cast<uint32_t>(pool.size()));
    }
  }
  if (entries <= kMaglevCapacity) return "";
  return fmt::format(
      "{}: service: the pools need {} entries of Maglev tables (a prime of at least 100 per backend), but "
      "only {} fit",
      config.path, entries, kMaglevCapacity);
}

}  // namespace teal
