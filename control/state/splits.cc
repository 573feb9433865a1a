// SPDX-License-Identifier: Apache-2.0
#include "control/state/splits.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

namespace teal {

namespace {

uint64_t full_generation(uint32_t low, uint64_t not_before_it) {
  return not_before_it - static_cast<uint32_t>(static_cast<uint32_t>(not_before_it) - low);
}

// Gives the service the share that is in force. A ramp that does not know the share is paused there.
void learn_share(ServiceState& service, uint16_t share) {
  if (service.share() == share) return;
  if (share == 0) return service.ramp.reset();
  if (share >= kShareOne) return;  // no teald publishes it: the segment is damaged
  Ramp ramp = service.ramp.value_or(Ramp());
  std::vector<uint16_t>& steps = ramp.plan.steps;
  auto step = std::find(steps.begin(), steps.end(), share);
  if (step == steps.end()) {
    steps = {share, kShareOne};
    step = steps.begin();
  }
  ramp.step = static_cast<uint32_t>(step - steps.begin());
  ramp.paused = "teald found this share in force when it started";
  service.ramp = std::move(ramp);
}

}  // namespace

std::vector<uint16_t> learn_splits(Inventory& inventory, uint64_t published_generation,
                                   const TrafficSplits& splits, uint64_t now_tick, int64_t now_ms) {
  std::vector<uint16_t> learned;
  for (ServiceState& service : inventory.services) {
    const TrafficSplit& split = splits.services[service.id];
    const uint64_t flip_generation =
        split.drain_ticks == 0 ? 0 : full_generation(split.flip_generation, published_generation);
    if (flip_generation > service.flip_generation) {
      service.active = split.active;
      service.previous = split.previous;
      service.undo.reset();
      service.flipped_by.reset();
      service.ramp.reset();
      service.flip_generation = flip_generation;
      service.flipped_at_ms = now_ms - static_cast<int64_t>(now_tick - split.flipped_at_tick) *
                                           static_cast<int64_t>(kTickNs / 1'000'000);
      learned.push_back(service.id);
    }
    if (flip_generation == service.flip_generation) learn_share(service, split.other_share);
  }
  return learned;
}

uint32_t drain_ticks(std::chrono::milliseconds timeout) {
  const int64_t ticks = timeout.count() / static_cast<int64_t>(kTickNs / 1'000'000);
  return static_cast<uint32_t>(std::clamp<int64_t>(ticks, 1, INT32_MAX));
}

TrafficSplit make_split(const ServiceState& service, const DrainConfig& drain, const TrafficSplit* present,
                        uint64_t now_tick, int64_t now_ms) {
  TrafficSplit split{};
  split.active = service.active;
  split.previous = service.previous.value_or(service.active);
  split.other_share = service.share();
  split.counted_from =
      static_cast<uint32_t>(std::max(service.flip_generation, service.ramp ? service.ramp->id : 0));
  if (service.ramp) split.slow_us = service.ramp->slow_us;
  if (service.flip_generation == 0) return split;
  split.flip_generation = static_cast<uint32_t>(service.flip_generation);
  split.drain_ticks = drain_ticks(drain.timeout);
  if (present != nullptr && present->drain_ticks != 0 && present->flip_generation == split.flip_generation) {
    split.flipped_at_tick = present->flipped_at_tick;
    const bool over = age_in_ticks(split.flipped_at_tick, now_tick) >= split.drain_ticks;
    if (over && drain.then == DrainConfig::Then::kReset) split.reset_before = present->reset_before;
    return split;
  }
  // Ticks of another boot mean nothing here, so the wall clock decides. A flip may be older than this boot:
  // one that is older than its drain is put at the end of the drain.
  const int64_t elapsed = (now_ms - service.flipped_at_ms) / static_cast<int64_t>(kTickNs / 1'000'000);
  split.flipped_at_tick =
      now_tick - static_cast<uint64_t>(std::clamp<int64_t>(elapsed, 0, split.drain_ticks));
  return split;
}

TrafficSplits make_splits(const Inventory& inventory, const Config& config, const TrafficSplits* present,
                          uint64_t now_tick, int64_t now_ms) {
  std::unordered_map<std::string_view, const ServiceConfig*> by_name;
  for (const ServiceConfig& service : config.services) by_name.emplace(service.name, &service);
  TrafficSplits splits{};
  for (const ServiceState& service : inventory.services) {
    const auto file = by_name.find(service.name);
    const bool configured = !service.retired && file != by_name.end();
    splits.services[service.id] =
        make_split(service, configured ? effective_drain(*file->second, service) : DrainConfig{},
                   present == nullptr ? nullptr : &present->services[service.id], now_tick, now_ms);
  }
  return splits;
}

bool same_splits(const Inventory& inventory, const TrafficSplits& a, const TrafficSplits& b) {
  return std::all_of(inventory.services.begin(), inventory.services.end(), [&](const ServiceState& service) {
    return std::memcmp(&a.services[service.id], &b.services[service.id], sizeof(TrafficSplit)) == 0;
  });
}

}  // namespace teal
