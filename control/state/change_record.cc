// SPDX-License-Identifier: Apache-2.0
#include "control/state/change_record.h"

#include <algorithm>
#include <bitset>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/state/limits.h"
#include "control/state/object_reader.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 2> kThenNames = {"wait", "reset"};  // by DrainConfig::Then
constexpr int64_t kFirstVersionWithUndo = 2, kFirstVersionWithRamp = 3, kFirstVersionWithPreview = 4;

// --- writing ---

template <typename Names, typename Value>
Json name_or_null(const Names& names, const std::optional<Value>& value) {
  return value ? Json(names[static_cast<size_t>(*value)]) : Json(nullptr);
}

Json to_json(const std::optional<Undo>& undo) {
  if (!undo) return nullptr;
  return {{"to", name_of(undo->to)}, {"generation", generation_in_range(undo->generation)}};
}

Json to_json(const std::optional<FlippedBy>& by) {
  if (!by) return nullptr;
  return {{"verb", kFlipVerbNames[static_cast<size_t>(by->verb)]}, {"uid", by->uid}};
}

Json to_json(const RecordedService& service) {
  Json timeout = nullptr;
  if (service.drain_timeout) timeout = in_range(service.drain_timeout->count(), kMaxDurationMs);
  return {{"id", service.id},
          {"active", name_of(service.active)},
          {"previous", name_or_null(kColourNames, service.previous)},
          {"flip_generation", generation_in_range(service.flip_generation)},
          {"flipped_at_ms", in_range(service.flipped_at_ms, kMaxTimeMs)},
          {"drain_timeout_ms", std::move(timeout)},
          {"drain_then", name_or_null(kThenNames, service.drain_then)},
          {"undo", to_json(service.undo)},
          {"flipped_by", to_json(service.flipped_by)},
          {"ramp", service.ramp ? to_json(*service.ramp) : Json(nullptr)},
          {"preview_clients", to_text(service.preview_clients)}};
}

Json to_json(const RecordedBackend& backend) {
  Json pools = Json::array();
  for (const Membership& member : backend.members) {
    Json weight = nullptr;
    if (member.weight) weight = std::min(*member.weight, kMaxWeight);
    pools.push_back({{"admin", kAdminStateNames[static_cast<size_t>(member.admin)]}, {"weight", weight}});
  }
  return {{"id", backend.id}, {"pools", std::move(pools)}};
}

// --- reading ---

Undo read_undo(ObjectReader& object) {
  Undo undo;
  undo.to = static_cast<Colour>(object.one_of("to", kColourNames));
  undo.generation = static_cast<uint64_t>(object.integer("generation", 0, kMaxGeneration));
  return undo;
}

FlippedBy read_flipped_by(ObjectReader& object) {
  FlippedBy by;
  by.verb = static_cast<FlipVerb>(object.one_of("verb", kFlipVerbNames));
  by.uid = static_cast<uint32_t>(object.integer("uid", 0, UINT32_MAX));
  return by;
}

std::vector<IpPrefix> read_preview_clients(ObjectReader& object) {
  auto clients = parse_prefixes(object.text_or_null("preview_clients").value_or(""));
  if (clients && clients->size() <= kMaxPreviewClientsOfService) return std::move(*clients);
  object.refuse("preview_clients",
                fmt::format("at most {} networks such as \"198.18.1.0/24\", with spaces between them",
                            kMaxPreviewClientsOfService));
  return {};
}

RecordedService read_service(ObjectReader& object, int64_t version, std::bitset<kMaxServices>& ids) {
  RecordedService service;
  service.id = object.new_id(ids);
  service.active = static_cast<Colour>(object.one_of("active", kColourNames));
  if (const auto previous = object.one_of_or_null("previous", kColourNames))
    service.previous = static_cast<Colour>(*previous);
  service.flip_generation = static_cast<uint64_t>(object.integer("flip_generation", 0, kMaxGeneration));
  service.flipped_at_ms = object.integer("flipped_at_ms", 0, kMaxTimeMs);
  if (const auto timeout = object.integer_or_null("drain_timeout_ms", 0, kMaxDurationMs))
    service.drain_timeout = std::chrono::milliseconds(*timeout);
  if (const auto then = object.one_of_or_null("drain_then", kThenNames))
    service.drain_then = static_cast<DrainConfig::Then>(*then);
  if (version < kFirstVersionWithUndo) return service;
  object.object_or_null("undo", [&](ObjectReader& undo) { service.undo = read_undo(undo); });
  object.object_or_null("flipped_by", [&](ObjectReader& by) { service.flipped_by = read_flipped_by(by); });
  if (version < kFirstVersionWithRamp) return service;
  object.object_or_null("ramp", [&](ObjectReader& ramp) { service.ramp = read_ramp(ramp); });
  if (version < kFirstVersionWithPreview) return service;
  service.preview_clients = read_preview_clients(object);
  return service;
}

RecordedBackend read_backend(ObjectReader& object, std::bitset<kMaxBackends>& ids) {
  RecordedBackend backend;
  backend.id = object.new_id(ids);
  size_t colour = 0;
  object.each("pools", kColours, kColours, [&](ObjectReader& pool) {
    Membership& member = backend.members[colour++];
    member.admin = static_cast<AdminState>(pool.one_of("admin", kAdminStateNames));
    if (const auto weight = pool.integer_or_null("weight", 0, kMaxWeight))
      member.weight = static_cast<uint32_t>(*weight);
  });
  return backend;
}

}  // namespace

RecordedService record_of(const ServiceState& service) {
  return {service.id,
          service.active,
          service.previous,
          service.flip_generation,
          service.flipped_at_ms,
          service.drain_timeout,
          service.drain_then,
          service.undo,
          service.flipped_by,
          service.ramp,
          service.preview_clients};
}

RecordedBackend record_of(const BackendState& backend) {
  return {backend.id, backend.members};
}

void apply(const ChangeRecord& record, Inventory& inventory) {
  for (const RecordedService& set : record.services) {
    ServiceState* service = inventory.service(set.id);
    if (service == nullptr) continue;
    service->drain_timeout = set.drain_timeout;
    service->drain_then = set.drain_then;
    service->ramp = set.ramp;
    service->preview_clients = set.preview_clients;
  }
  for (const RecordedBackend& set : record.backends)
    for (BackendState& backend : inventory.backends)
      if (backend.id == set.id) backend.members = set.members;
}

void describe_flips(const ChangeRecord& record, Inventory& inventory) {
  for (const RecordedService& set : record.services) {
    ServiceState* service = inventory.service(set.id);
    if (service == nullptr || service->flip_generation != set.flip_generation) continue;
    service->undo = set.undo;
    service->flipped_by = set.flipped_by;
  }
}

std::string to_text(const ChangeRecord& record) {
  Json services = Json::array(), backends = Json::array();
  for (const RecordedService& service : record.services) services.push_back(to_json(service));
  for (const RecordedBackend& backend : record.backends) backends.push_back(to_json(backend));
  return Json{{"version", ChangeRecord::kVersion},
              {"services", std::move(services)},
              {"backends", std::move(backends)}}
      .dump();
}

tl::expected<ChangeRecord, std::string> parse_change_record(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return tl::unexpected<std::string>("it is not JSON");
  std::string error;
  ObjectReader object(json, "", error);
  // A teald that writes another version raises the oldest reader of its schema (schema.cc), so this one
  // refuses its database at once. An unknown version is therefore damage.
  const int64_t version = object.integer("version", 1, ChangeRecord::kVersion);
  ChangeRecord record;
  std::bitset<kMaxServices> services;
  std::bitset<kMaxBackends> backends;
  if (object.fine())
    object.each("services", 0, kMaxServices, [&](ObjectReader& service) {
      record.services.push_back(read_service(service, version, services));
    });
  if (object.fine())
    object.each("backends", 0, kMaxBackends,
                [&](ObjectReader& backend) { record.backends.push_back(read_backend(backend, backends)); });
  if (!error.empty()) return tl::unexpected(std::move(error));
  return record;
}

}  // namespace teal
