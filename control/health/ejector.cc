// SPDX-License-Identifier: Apache-2.0
#include "control/health/ejector.h"

#include <algorithm>

#include <fmt/format.h>

namespace teal {

namespace {

bool is_member(const std::vector<PoolMember>& pool, uint16_t backend) {
  return std::any_of(pool.begin(), pool.end(), [&](const PoolMember& of) { return of.id == backend; });
}

}  // namespace

std::string reason_of(const Ejector::Ejection& ejection) {
  return fmt::format("{} failures since its last answer", ejection.failures);
}

// Forgets backends that left the config, or whose id belongs to another one now.
void Ejector::follow(const Catalogue& catalogue) {
  std::vector<bool> is_there(kMaxBackends);
  for (const CatalogueService& service : catalogue.services()) {
    for (const std::vector<PoolMember>& pool : service.pools) {
      for (const PoolMember& member : pool) {
        Slot& slot = slots_[member.id];
        is_there[member.id] = true;
        if (slot.service != service.id || !(slot.socket == member.socket))
          slot = {.service = kNoId, .socket = member.socket};
      }
    }
  }
  for (size_t id = 0; id < slots_.size(); ++id)
    if (!is_there[id] && slots_[id].service != kNoId) slots_[id] = Slot();
}

// A count that falls is of another segment, or of fewer workers: it is the new beginning.
void Ejector::count(Slot& slot, const BackendSums& sums, bool lacks_room) {
  const BackendSums before = std::exchange(slot.seen, sums);
  if (sums.answers != before.answers || sums.failures < before.failures) {
    slot.run = 0;
    slot.answered_at = clock_.now();
  } else if (!lacks_room || clock_.now() >= slot.answered_at + kFloodPatience) {
    slot.run += sums.failures - before.failures;
  }
}

// Failures of the time of the ejection do not count after it: these flows began before it.
bool Ejector::end_if_over(Slot& slot, bool may_last, const std::string& service) {
  if (may_last && clock_.now() < slot.ejection->until) return false;
  slot.ejection.reset();
  slot.rose_at = clock_.now();
  slot.run = 0;
  slot.failed_at.reset();
  slot.forgive_at = clock_.now() + kForgiveEvery;
  turns_.push_back({to_string(slot.socket), service, false, "", 0});
  return true;
}

// Returns whether the pools of the backend may lose it, too.
bool Ejector::leaves_enough(const CatalogueService& service, uint16_t backend) const {
  for (const std::vector<PoolMember>& pool : service.pools) {
    if (!is_member(pool, backend)) continue;
    uint64_t all = 0, ejected = 0;
    for (const PoolMember& member : pool) {
      all += member.weight;
      if (member.id == backend || of(member.id) != nullptr) ejected += member.weight;
    }
    if (ejected * 100 > all * service.config->health.eject.max_share) return false;
  }
  return true;
}

bool Ejector::eject_if_due(const CatalogueService& service, const PoolMember& member,
                           const EjectionFacts& facts) {
  const EjectRules& rules = service.config->health.eject;
  Slot& slot = slots_[member.id];
  const Clock::Time now = clock_.now();
  // Without new flows it cannot show that it is repaired, so old failures do not count when it is back.
  if (member.weight == 0 || facts.is_down(member.id)) slot.run = 0;
  if (slot.run < rules.failures) {
    slot.failed_at.reset();
    return false;
  }
  if (!slot.failed_at) slot.failed_at = now;
  for (size_t colour = 0; colour < kColours; ++colour)
    if (is_member(service.pools[colour], member.id) &&
        facts.is_judged(service.id, static_cast<Colour>(colour)) && now < *slot.failed_at + kJudgedFirst)
      return false;
  if (!leaves_enough(service, member.id)) return false;
  ++slot.times;
  const auto lasts = std::min<std::chrono::milliseconds>(
      rules.time * slot.times, std::max<std::chrono::milliseconds>(kLongest, rules.time));
  slot.ejection = {.until = now + lasts,
                   .until_ms = clock_.wall_ms() + lasts.count(),
                   .failures = slot.run,
                   .times = slot.times};
  turns_.push_back({to_string(member.socket), service.config->name, true, reason_of(*slot.ejection),
                    slot.ejection->until_ms});
  return true;
}

bool Ejector::look(const Catalogue& catalogue, const EjectionFacts& facts) {
  follow(catalogue);
  const Clock::Time now = clock_.now();
  std::vector<bool> is_seen(kMaxBackends);  // a backend of both colours is looked at once
  bool changed = false;
  for (const CatalogueService& service : catalogue.services()) {
    const EjectRules& rules = service.config->health.eject;
    if (service.config->vip.protocol != kProtocolTcp) continue;
    const ServiceState& state = catalogue.state(service);
    for (const Colour colour : {state.active, other(state.active)}) {  // a backend of both is an active one
      for (const PoolMember& member : service.pools[static_cast<size_t>(colour)]) {
        if (is_seen[member.id]) continue;
        is_seen[member.id] = true;
        Slot& slot = slots_[member.id];
        if (slot.service == kNoId) {  // what happened before is not known
          slot.service = service.id;
          slot.seen = facts.sums(member.id);
          slot.answered_at = now;
          continue;
        }
        count(slot, facts.sums(member.id), facts.lacks_room);
        const bool is_ejectable = rules.is_on && (state.ramp || colour == state.active);  // gets new flows
        if (slot.ejection) {
          changed = end_if_over(slot, is_ejectable, service.config->name) || changed;
          continue;
        }
        if (slot.times != 0 && now >= slot.forgive_at) {
          --slot.times;
          slot.forgive_at = now + kForgiveEvery;
        }
        if (!is_ejectable) slot.run = 0;
        if (is_ejectable) changed = eject_if_due(service, member, facts) || changed;
      }
    }
  }
  return changed;
}

}  // namespace teal
