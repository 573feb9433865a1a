// SPDX-License-Identifier: Apache-2.0
#include "control/change/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "control/publish/maglev.h"
#include "control/state/reload_ids.h"
#include "control/state/splits.h"

namespace teal {

namespace {

// A flip that the segment has and the database does not.
struct Learnt {
  uint64_t generation = 0;
  std::string service;
  Colour to = Colour::kBlue;
  bool is_abort = false;  // of a ramp: the service had this colour before
};

std::vector<Learnt> learn_from_segment(Inventory& inventory, const Publisher& publisher, const Clock& clock) {
  std::vector<Learnt> learnt;
  if (publisher.splits() == nullptr) return learnt;
  const bool is_lost = inventory.services.empty();  // then nothing is known about the flips
  if (is_lost) {
    inventory = inventory_of(*publisher.ruleset(), *publisher.splits());
    spdlog::warn(
        "the database has no services, but the segment has {} with {} backends: took their ids from the "
        "segment",
        inventory.services.size(), inventory.backends.size());
    inventory.revision = publisher.generation();  // above every flip; what else was changed is not known
  }
  for (const uint16_t id :
       learn_splits(inventory, publisher.generation(), *publisher.splits(), clock.tick(), clock.wall_ms())) {
    const ServiceState& service = *inventory.service(id);
    spdlog::warn("service \"{}\" is {} since generation {}: the segment has this flip, the database did not",
                 service.name, name_of(service.active), service.flip_generation);
    inventory.revision = std::max(inventory.revision, service.flip_generation);
    const bool is_abort = service.previous == service.active;
    if (!is_lost) learnt.push_back({service.flip_generation, service.name, service.active, is_abort});
  }
  inventory.given_generation = std::max(inventory.given_generation, publisher.generation());
  inventory.published_generation = std::max(inventory.published_generation, publisher.generation());
  return learnt;
}

// There are no flows, so nothing holds a retired id.
void drop_retired(Inventory& inventory) {
  std::erase_if(inventory.services, [](const ServiceState& service) { return service.retired; });
  std::erase_if(inventory.backends, [&](const BackendState& backend) {
    return backend.retired || inventory.service(backend.service) == nullptr;
  });
}

// The copy is written after the publication, so what it has is in force.
std::optional<bool> was_published(const OpenIntent& intent, const Publisher& publisher) {
  return intent.in_force ? true : publisher.was_published(intent.generation);
}

// Sets the values that the open intents' records have, oldest first. The database has every result before it
// has a later intent (journal.h), so what an older teald recorded out of order is left out. An intent of
// schema 2 has no record: it was published into a segment of another ABI, if at all.
void apply_records(const std::vector<OpenIntent>& intents, const Publisher& publisher, Inventory& inventory) {
  const uint64_t recorded = inventory.published_generation;
  for (const OpenIntent& intent : intents) {
    if (!intent.record || intent.generation <= recorded) continue;
    if (was_published(intent, publisher) != true) continue;
    if (intent.verb == "reload" && publisher.ruleset() != nullptr)
      take_ids_from(*publisher.ruleset(), inventory);
    apply(*intent.record, inventory);
    inventory.revision = std::max(inventory.revision, intent.revision.value_or(0));
  }
}

// An intent that was not published was not carried out, so a repetition of its request makes the change.
std::vector<KnownRequest> carried_out(std::vector<KnownRequest> requests,
                                      const std::vector<OpenIntent>& intents, const Publisher& publisher) {
  std::erase_if(requests, [&](const KnownRequest& request) {
    return std::any_of(intents.begin(), intents.end(), [&](const OpenIntent& intent) {
      return request.intent == intent.id && was_published(intent, publisher) != true;
    });
  });
  return requests;
}

// Without a publication nothing shows whether the disk has the latest abort: no ramp goes on by itself. A new
// segment has none, and neither has one that an upgrade made.
void pause_ramps(Inventory& inventory) {
  for (ServiceState& service : inventory.services)
    if (service.ramp && service.ramp->goes_on()) service.ramp->paused = "teald started without a publication";
}

Unrecorded closed(const OpenIntent& intent, const Publisher& publisher, const Clock& clock) {
  const std::optional<bool> published = was_published(intent, publisher);
  Unrecorded change{.row = intent.id};
  change.finish = Finish{.outcome = published == true ? Outcome::kDone : Outcome::kInterrupted,
                         .at_ms = clock.wall_ms(),
                         .detail = published == true    ? "finished at the next start"
                                   : published == false ? "not published when teald ended"
                                                        : "not known whether it was published"};
  spdlog::warn("generation {} ({}) was under way when teald ended: {}", intent.generation, intent.verb,
               change.finish->detail);
  return change;
}

Unrecorded from_copy(Intent intent, const Clock& clock) {
  spdlog::warn("generation {} ({}) was made, and not recorded when teald ended", intent.generation,
               intent.verb);
  Unrecorded change{.intent = std::move(intent)};
  change.finish = Finish{.at_ms = clock.wall_ms(), .detail = "taken from the copy: it was not recorded"};
  return change;
}

// The intent of a change that the database lacks, with its request.
Intent intent_of(const OpenIntent& made, const std::vector<KnownRequest>& requests) {
  Intent intent{made.generation, made.verb, made.changes, made.reason, made.actor};
  intent.at_ms = made.at_ms;
  if (made.record) intent.record = *made.record;
  intent.revision = made.revision;
  for (const KnownRequest& request : requests)
    if (request.intent == made.id) intent.request = CarriedOut{request.id, request.content, request.answer};
  return intent;
}

// A flip is recorded before it is published, so a flip without an intent is a rollback or an abort. An abort
// has no "from": the service had the same active colour before.
std::vector<Unrecorded> rollbacks_of(const std::vector<Learnt>& learnt,
                                     const std::vector<OpenIntent>& intents, const Clock& clock) {
  struct Changes {
    nlohmann::ordered_json entries;
    bool are_aborts = true;
  };
  std::map<uint64_t, Changes> by_generation;
  for (const Learnt& flip : learnt) {
    nlohmann::ordered_json entry = {{"service", flip.service}};
    if (!flip.is_abort) entry["from"] = name_of(other(flip.to));
    entry["to"] = name_of(flip.to);
    Changes& changes = by_generation[flip.generation];
    changes.entries.push_back(std::move(entry));
    changes.are_aborts = changes.are_aborts && flip.is_abort;
  }
  for (const OpenIntent& intent : intents) by_generation.erase(intent.generation);
  std::vector<Unrecorded> rollbacks;
  for (const auto& [generation, changes] : by_generation) {
    Unrecorded change;
    const char* verb = changes.are_aborts ? "abort" : "rollback";
    change.intent = {generation, verb, changes.entries.dump(), "", Actor::teald()};
    change.intent.revision = generation;
    change.intent.at_ms = clock.wall_ms();
    change.finish = Finish{.at_ms = clock.wall_ms(), .detail = "taken from the segment: it was not recorded"};
    rollbacks.push_back(std::move(change));
  }
  return rollbacks;
}

// Sets the flips of the record that are later than the inventory. Without a segment, only records tell of
// such flips.
void apply_flips(const ChangeRecord& record, Inventory& inventory) {
  for (const RecordedService& set : record.services) {
    ServiceState* service = inventory.service(set.id);
    if (service == nullptr || set.flip_generation <= service->flip_generation) continue;
    service->active = set.active;
    service->previous = set.previous;
    service->flip_generation = set.flip_generation;
    service->flipped_at_ms = set.flipped_at_ms;
  }
}

}  // namespace

void take_over_copy(Recorder::Stored copy, Recorder::Stored& stored) {
  const bool is_lost = stored.inventory.services.empty();
  const uint64_t recorded = stored.inventory.published_generation;
  // A lock publishes nothing: its revision alone tells that the database lacks it.
  const uint64_t revision = stored.inventory.revision;
  const auto is_missing = [&](uint64_t published, uint64_t revised) {
    return published > recorded || (published == recorded && revised > revision);
  };
  if (!is_lost && !is_missing(copy.inventory.published_generation, copy.inventory.revision)) return;
  for (const OpenIntent& made : copy.intents) {
    if (!is_missing(made.generation, made.revision.value_or(0))) continue;
    const auto known =
        std::find_if(stored.intents.begin(), stored.intents.end(),
                     [&](const OpenIntent& intent) { return intent.generation == made.generation; });
    if (known != stored.intents.end())
      known->in_force = true;
    else
      stored.unrecorded.push_back(intent_of(made, copy.requests));
  }
  std::unordered_set<std::string> ids;
  for (const KnownRequest& request : stored.requests) ids.insert(request.id);
  for (KnownRequest& request : copy.requests) {
    if (ids.contains(request.id)) continue;
    request.intent.reset();
    stored.requests.push_back(std::move(request));
  }
  Inventory& inventory = copy.inventory;
  inventory.given_generation = std::max(inventory.given_generation, stored.inventory.given_generation);
  inventory.reserved_generation =
      std::max(inventory.reserved_generation, stored.inventory.reserved_generation);
  stored.inventory = std::move(inventory);
  if (copy.config) stored.config = std::move(copy.config);
}

// Without a database and without a publication, the file of the flows says which ids they have. Nothing says
// which colours were active.
void take_known_ids(Inventory& inventory, const Publisher& publisher) {
  const auto rules = std::make_unique<Ruleset>();
  rules_of_known_ids(publisher.segment()->flows().ids, *rules);
  inventory = inventory_of(*rules, *std::make_unique<TrafficSplits>());
  if (!inventory.services.empty())
    spdlog::warn("neither a database nor a publication: took the ids of {} services from the flows",
                 inventory.services.size());
}

void take_colours_from(const Config& config, Inventory& inventory) {
  for (ServiceState& service : inventory.services)
    for (const ServiceConfig& configured : config.services)
      if (configured.vip == service.vip) service.active = configured.active;
}

Known learn(Recorder::Stored stored, const Publisher& publisher, const Clock& clock) {
  const bool refused = !publisher.refused().empty();
  Inventory& inventory = stored.inventory;
  const bool has_publication = publisher.generation() != 0;
  const bool knows_ids_alone = inventory.services.empty() && publisher.attached() && !has_publication;
  if (knows_ids_alone) take_known_ids(inventory, publisher);
  apply_records(stored.intents, publisher, inventory);
  const std::vector<Learnt> learnt = learn_from_segment(inventory, publisher, clock);
  for (const OpenIntent& intent : stored.intents)
    if (intent.record && was_published(intent, publisher) == true) describe_flips(*intent.record, inventory);
  if (!has_publication && !refused) pause_ramps(inventory);
  if (!publisher.has_flows() && !refused) drop_retired(inventory);
  // Without it, only the reserve tells which numbers were given to changes that were not recorded.
  if (!has_publication)
    inventory.given_generation =
        std::max({inventory.given_generation, inventory.reserved_generation, publisher.latest_generation()});
  Known known{std::move(inventory),
              carried_out(std::move(stored.requests), stored.intents, publisher),
              {},
              !knows_ids_alone};
  if (refused) return known;
  for (const OpenIntent& intent : stored.intents) known.to_record.push_back(closed(intent, publisher, clock));
  for (Intent& intent : stored.unrecorded) known.to_record.push_back(from_copy(std::move(intent), clock));
  for (Unrecorded& rollback : rollbacks_of(learnt, stored.intents, clock))
    known.to_record.push_back(std::move(rollback));
  return known;
}

tl::expected<Recovered, std::string> bring_in_line(Known known, const Publisher& publisher,
                                                   const Config& config) {
  if (!known.knows_colours) take_colours_from(config, known.inventory);
  tl::expected<Renumbered, std::string> renumbered = renumber(known.inventory, config);
  if (!renumbered) return tl::unexpected(renumbered.error());
  for (const std::string& note : renumbered->notes) spdlog::info("{}", note);
  Recovered recovered{std::move(renumbered->inventory), std::move(known.requests),
                      std::move(known.to_record)};
  if (!publisher.refused().empty()) return recovered;
  Unrecorded whole{.inventory = std::make_shared<const Inventory>(recovered.inventory),
                   .config = std::make_shared<const std::string>(config.text)};
  recovered.to_record.insert(recovered.to_record.begin(), std::move(whole));
  return recovered;
}

tl::expected<Recovered, std::string> recover(Recorder::Stored stored, const Publisher& publisher,
                                             const Config& config, const Clock& clock) {
  return bring_in_line(learn(std::move(stored), publisher, clock), publisher, config);
}

void add_unrecorded(const std::deque<Unrecorded>& changes, const Inventory& present, Recovered& recovered) {
  Inventory& inventory = recovered.inventory;
  inventory.revision = std::max(inventory.revision, present.revision);
  inventory.given_generation = std::max(inventory.given_generation, present.given_generation);
  inventory.published_generation = std::max(inventory.published_generation, present.published_generation);
  for (const Unrecorded& change : changes) {
    if (!change.finish || !was_published(change.finish->outcome)) continue;
    apply(change.finish->record, inventory);
    apply_flips(change.finish->record, inventory);
    describe_flips(change.finish->record, inventory);
    inventory.revision = std::max(inventory.revision, change.intent.revision.value_or(0));
  }
  // The segment told of such a rollback, too.
  std::erase_if(recovered.to_record, [&](const Unrecorded& learnt) {
    return !learnt.row && learnt.finish &&
           std::any_of(changes.begin(), changes.end(), [&](const Unrecorded& change) {
             return change.finish && change.intent.generation == learnt.intent.generation;
           });
  });
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
