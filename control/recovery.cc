// SPDX-License-Identifier: Apache-2.0
#include "control/recovery.h"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "control/maglev.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

namespace {

int64_t wall_clock_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void learn_from_segment(Inventory& inventory, const Publisher& publisher) {
  if (publisher.targets() == nullptr) return;
  if (inventory.services.empty()) {
    inventory = inventory_of(*publisher.ruleset(), *publisher.targets());
    spdlog::warn(
        "the database knows nothing of the {} services and {} backends that are forwarded for: took their "
        "ids from the "
        "segment",
        inventory.services.size(), inventory.backends.size());
  }
  for (const uint16_t id :
       learn_targets(inventory, publisher.generation(), *publisher.targets(), now_ticks(), wall_clock_ms())) {
    const ServiceState& service = *inventory.service(id);
    spdlog::warn("service \"{}\" is {} since generation {}: the segment has it, the database had not",
                 service.name, kColourNames[static_cast<size_t>(service.active)], service.flip_generation);
  }
  inventory.given_generation = std::max(inventory.given_generation, publisher.generation());
  inventory.published_generation = std::max(inventory.published_generation, publisher.generation());
}

// No segment, no flows: nothing holds a retired id.
void drop_retired(Inventory& inventory) {
  std::erase_if(inventory.services, [](const ServiceState& service) { return service.retired; });
  std::erase_if(inventory.backends, [&](const BackendState& backend) {
    return backend.retired || inventory.service(backend.service) == nullptr;
  });
}

State::Done close_intents(State& state, const Publisher& publisher, const Inventory& inventory) {
  const auto intents = state.open_intents();
  if (!intents) return tl::unexpected(intents.error());
  for (const OpenIntent& intent : *intents) {
    const bool in_force =
        publisher.generation() == intent.generation ||
        std::any_of(inventory.services.begin(), inventory.services.end(), [&](const ServiceState& service) {
          return service.flip_generation == intent.generation;
        });
    spdlog::warn("generation {} ({}) was under way when teald ended: {}", intent.generation, intent.verb,
                 in_force ? "it was published, so it is done" : "it was not published, so it is not applied");
    const State::Done done =
        state.finish(intent.id, in_force ? Outcome::kDone : Outcome::kInterrupted, 0,
                     in_force ? "finished at the next start" : "not published when teald ended", {});
    if (!done) return done;
  }
  return {};
}

}  // namespace

tl::expected<Inventory, std::string> recover(State& state, const Publisher& publisher, const Config& config) {
  tl::expected<Inventory, std::string> stored = state.load();
  if (!stored) return stored;
  learn_from_segment(*stored, publisher);
  if (!publisher.attached()) drop_retired(*stored);
  tl::expected<Renumbered, std::string> renumbered = renumber(*stored, config);
  if (!renumbered) return tl::unexpected(renumbered.error());
  for (const std::string& note : renumbered->notes) spdlog::info("{}", note);
  if (const State::Done saved = state.save(renumbered->inventory); !saved)
    return tl::unexpected(saved.error());
  if (const State::Done closed = close_intents(state, publisher, renumbered->inventory); !closed)
    return tl::unexpected(closed.error());
  return std::move(renumbered->inventory);
}

std::string too_large(const Config& config) {
  uint64_t entries = 0;
  for (const ServiceConfig& service : config.services) {
    for (const auto& pool : service.pools) {
      const auto members = std::count_if(pool.begin(), pool.end(),
                                         [](const BackendConfig& backend) { return backend.weight > 0; });
      entries += maglev_size(static_cast<uint32_t>(members));
    }
  }
  if (entries <= kMaglevCapacity) return "";
  return fmt::format(
      "{}: service: the pools need {} entries of Maglev tables (a prime of at least 100 per backend), at "
      "most {} fit",
      config.path, entries, kMaglevCapacity);
}

}  // namespace teal
