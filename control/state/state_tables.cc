// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_tables.h"

#include <bitset>
#include <span>
#include <unordered_set>

#include <fmt/format.h>

#include "control/config/config_name.h"
#include "control/state/limits.h"
#include "dataplane/shm/counters.h"

namespace teal {

namespace {

using Sockets = std::unordered_set<Socket, SocketHash>;

constexpr int64_t kLastColour = kColours - 1;
constexpr int64_t kLastAdminState = static_cast<int64_t>(kAdminStateNames.size()) - 1;

// Reads a socket from its text. Each socket may appear once, as build_ruleset() relies on it.
Socket unique_socket(Row& row, std::string_view column, const std::string& text, uint8_t protocol,
                     Sockets& seen) {
  const std::optional<Socket> written = parse_socket(text);
  row.expect(written.has_value(), column, "an address and port such as \"198.18.0.10:80\"");
  Socket socket = written.value_or(Socket{});
  socket.protocol = protocol;
  row.expect(seen.insert(socket).second, column, "another socket in each row");
  return socket;
}

// Reads two columns: the protocol, and the address with the port.
Socket read_unique_socket(Row& row, std::string_view column, Sockets& seen) {
  const int64_t protocol = row.integer("protocol", 0, UINT8_MAX);
  row.expect(protocol == kProtocolTcp || protocol == kProtocolUdp, "protocol",
             fmt::format("{} (TCP) or {} (UDP)", kProtocolTcp, kProtocolUdp));
  return unique_socket(row, column, row.text(column), static_cast<uint8_t>(protocol), seen);
}

std::optional<Undo> read_undo(Row& row) {
  const auto to = row.integer_or_null("undo_to", 0, kLastColour);
  const auto generation = row.integer_or_null("undo_generation", 0, kMaxGeneration);
  row.expect(to.has_value() == generation.has_value(), "undo_generation", "null if and only if undo_to is");
  if (!to || !generation) return std::nullopt;
  return Undo{static_cast<Colour>(*to), static_cast<uint64_t>(*generation)};
}

std::optional<FlippedBy> read_flipped_by(Row& row) {
  const auto verb = row.integer_or_null("flipped_by_verb", 0, kFlipVerbNames.size() - 1);
  const auto uid = row.integer_or_null("flipped_by_uid", 0, UINT32_MAX);
  row.expect(verb.has_value() == uid.has_value(), "flipped_by_uid", "null if and only if flipped_by_verb is");
  if (!verb || !uid) return std::nullopt;
  return FlippedBy{static_cast<FlipVerb>(*verb), static_cast<uint32_t>(*uid)};
}

std::optional<Ramp> read_ramp(Row& row) {
  const std::optional<std::string> text = row.text_or_null("ramp");
  if (!text) return std::nullopt;
  const auto ramp = parse_ramp(*text);
  row.expect(ramp.has_value(), "ramp", ramp ? "" : "the text of a ramp: " + ramp.error());
  return *ramp;
}

// Reads both columns of the preview. The VIP is known already.
void read_preview(Row& row, ServiceState& service, Sockets& seen) {
  if (const auto text = row.text_or_null("preview")) {
    service.preview = unique_socket(row, "preview", *text, service.vip.protocol, seen);
    row.expect(service.preview->address.is_v4() == service.vip.address.is_v4(), "preview",
               "an address of the VIP's family");
  }
  auto clients = parse_prefixes(row.text("preview_clients"));
  row.expect(clients.has_value(), "preview_clients", clients ? "" : "networks: " + clients.error());
  service.preview_clients = std::move(*clients);
  row.expect(service.preview_clients.size() <= kMaxPreviewClientsOfService, "preview_clients",
             fmt::format("at most {} networks", kMaxPreviewClientsOfService));
}

void read_services(SQLite::Database& sqlite, Inventory& inventory) {
  SQLite::Statement select(
      sqlite,
      "SELECT id, name, protocol, vip, affinity_client, retired, active, previous, flip_generation, "
      "flipped_at_ms, drain_timeout_ms, drain_then, undo_to, undo_generation, flipped_by_verb, "
      "flipped_by_uid, added_after, ramp, preview, preview_clients FROM services ORDER BY id");
  std::bitset<kMaxServices> ids;
  std::unordered_set<std::string> names;
  Sockets vips;
  size_t preview_clients = 0;
  while (select.executeStep()) {
    Row row(select, "services");
    ServiceState service;
    service.id = static_cast<uint16_t>(row.integer("id", 0, kMaxServices - 1));
    row.expect(!ids[service.id], "id", "another in each row");
    service.name = row.text("name");
    row.expect(is_config_name(service.name), "name", kConfigNameForm);
    row.expect(names.insert(service.name).second, "name", "another in each row");
    service.vip = read_unique_socket(row, "vip", vips);
    service.affinity_client = row.integer("affinity_client", 0, 1) != 0;
    service.retired = row.integer("retired", 0, 1) != 0;
    service.active = static_cast<Colour>(row.integer("active", 0, kLastColour));
    if (const auto previous = row.integer_or_null("previous", 0, kLastColour))
      service.previous = static_cast<Colour>(*previous);
    service.flip_generation = static_cast<uint64_t>(row.integer("flip_generation", 0, kMaxGeneration));
    service.flipped_at_ms = row.integer("flipped_at_ms", 0, kMaxTimeMs);
    if (const auto timeout = row.integer_or_null("drain_timeout_ms", 0, kMaxDurationMs))
      service.drain_timeout = std::chrono::milliseconds(*timeout);
    if (const auto then = row.integer_or_null("drain_then", 0, 1))
      service.drain_then = static_cast<DrainConfig::Then>(*then);
    service.undo = read_undo(row);
    service.flipped_by = read_flipped_by(row);
    service.added_after = static_cast<uint64_t>(row.integer("added_after", 0, kMaxGeneration));
    service.ramp = read_ramp(row);
    read_preview(row, service, vips);
    preview_clients += service.preview_clients.size();
    row.expect(preview_clients <= kMaxPreviewClients, "preview_clients",
               fmt::format("at most {} networks of all services", kMaxPreviewClients));
    ids.set(service.id);
    inventory.services.push_back(std::move(service));
  }
}

void read_backends(SQLite::Database& sqlite, Inventory& inventory) {
  std::bitset<kMaxServices> services;
  for (const ServiceState& service : inventory.services) services.set(service.id);
  SQLite::Statement select(sqlite, "SELECT id, service, protocol, socket, retired FROM backends ORDER BY id");
  std::bitset<kMaxBackends> ids;
  Sockets sockets;
  while (select.executeStep()) {
    Row row(select, "backends");
    BackendState backend;
    backend.id = static_cast<uint16_t>(row.integer("id", 0, kMaxBackends - 1));
    row.expect(!ids[backend.id], "id", "another in each row");
    backend.service = static_cast<uint16_t>(row.integer("service", 0, kMaxServices - 1));
    row.expect(services[backend.service], "service", "the id of a service");
    backend.socket = read_unique_socket(row, "socket", sockets);
    backend.retired = row.integer("retired", 0, 1) != 0;
    ids.set(backend.id);
    inventory.backends.push_back(backend);
  }
}

void read_memberships(SQLite::Database& sqlite, Inventory& inventory) {
  std::vector<BackendState*> by_id(kMaxBackends, nullptr);
  for (BackendState& backend : inventory.backends) by_id[backend.id] = &backend;
  SQLite::Statement select(sqlite, "SELECT rowid, backend, colour, admin, weight FROM memberships");
  while (select.executeStep()) {
    Row row(select, "memberships");
    row.integer("rowid", INT64_MIN, INT64_MAX);
    const int64_t id = row.integer("backend", 0, kMaxBackends - 1);
    row.expect(by_id[id] != nullptr, "backend", "the id of a backend");
    const int64_t colour = row.integer("colour", 0, kLastColour);
    Membership member;
    member.admin = static_cast<AdminState>(row.integer("admin", 0, kLastAdminState));
    if (const auto weight = row.integer_or_null("weight", 0, kMaxWeight))
      member.weight = static_cast<uint32_t>(*weight);
    by_id[id]->members[static_cast<size_t>(colour)] = member;
  }
}

void read_lock(SQLite::Database& sqlite, Inventory& inventory) {
  SQLite::Statement select(sqlite, "SELECT id, uid, user, reason, at_ms, by_root FROM lock");
  while (select.executeStep()) {
    Row row(select, "lock");
    row.integer("id", 0, 0);
    row.expect(!inventory.lock.has_value(), "id", "one row at most");
    ChangeLock lock;
    lock.uid = static_cast<uint32_t>(row.integer("uid", 0, UINT32_MAX));
    lock.user = row.prose("user");
    lock.reason = row.prose("reason");
    lock.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
    lock.by_root = row.integer("by_root", 0, 1) != 0;
    inventory.lock = std::move(lock);
  }
}

uint64_t read_generation(SQLite::Database& sqlite, const std::string& which) {
  SQLite::Statement select(sqlite, "SELECT key, value FROM meta WHERE key = ?");
  select.bind(1, which);
  if (!select.executeStep()) throw Damage(fmt::format("table meta: there is no row \"{}\"", which));
  Row row(select, "meta");
  row.text("key");
  return static_cast<uint64_t>(row.integer("value", 0, kMaxGeneration));
}

std::optional<int64_t> number(const auto& value) {
  return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
}

void write_services(SQLite::Database& sqlite, std::span<const RecordedService> services) {
  SQLite::Statement set(
      sqlite,
      "UPDATE services SET active = ?, previous = ?, flip_generation = ?, flipped_at_ms = ?, "
      "drain_timeout_ms = ?, drain_then = ?, undo_to = ?, undo_generation = ?, flipped_by_verb = ?, "
      "flipped_by_uid = ?, ramp = ?, preview_clients = ? WHERE id = ?");
  for (const RecordedService& service : services) {
    std::optional<int64_t> timeout;
    if (service.drain_timeout) timeout = in_range(service.drain_timeout->count(), kMaxDurationMs);
    std::optional<std::string> ramp;
    if (service.ramp) ramp = to_text(*service.ramp);
    std::optional<int64_t> undo_to, undo_generation, verb, uid;
    if (service.undo) {
      undo_to = static_cast<int64_t>(service.undo->to);
      undo_generation = generation_in_range(service.undo->generation);
    }
    if (service.flipped_by) {
      verb = static_cast<int64_t>(service.flipped_by->verb);
      uid = service.flipped_by->uid;
    }
    run(set, static_cast<int64_t>(service.active), number(service.previous),
        generation_in_range(service.flip_generation), in_range(service.flipped_at_ms, kMaxTimeMs), timeout,
        number(service.drain_then), undo_to, undo_generation, verb, uid, ramp,
        to_text(service.preview_clients), service.id);
  }
}

void write_backends(SQLite::Database& sqlite, std::span<const RecordedBackend> backends) {
  SQLite::Statement remove(sqlite, "DELETE FROM memberships WHERE backend = ?");
  SQLite::Statement add(sqlite,
                        "INSERT INTO memberships (backend, colour, admin, weight) VALUES (?, ?, ?, ?)");
  for (const RecordedBackend& backend : backends) {
    run(remove, backend.id);
    for (size_t colour = 0; colour < kColours; ++colour) {
      const Membership& member = backend.members[colour];
      if (member == Membership{}) continue;
      std::optional<int64_t> weight;
      if (member.weight) weight = std::min(*member.weight, kMaxWeight);
      run(add, backend.id, static_cast<int64_t>(colour), static_cast<int64_t>(member.admin), weight);
    }
  }
}

}  // namespace

Inventory read_inventory(SQLite::Database& sqlite) {
  Inventory inventory;
  read_services(sqlite, inventory);
  read_backends(sqlite, inventory);
  read_memberships(sqlite, inventory);
  read_lock(sqlite, inventory);
  inventory.given_generation = read_generation(sqlite, "given_generation");
  inventory.reserved_generation = read_generation(sqlite, "reserved_generation");
  inventory.published_generation = read_generation(sqlite, "published_generation");
  inventory.revision = read_generation(sqlite, "revision");
  return inventory;
}

void write_inventory(SQLite::Database& sqlite, const Inventory& inventory) {
  sqlite.exec("DELETE FROM memberships; DELETE FROM backends; DELETE FROM services");
  ChangeRecord record;
  SQLite::Statement add_service(
      sqlite,
      "INSERT INTO services (id, name, vip, protocol, preview, affinity_client, retired, active, "
      "flip_generation, flipped_at_ms, added_after) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, ?)");
  for (const ServiceState& service : inventory.services) {
    std::optional<std::string> preview;
    if (service.preview) preview = to_string(*service.preview);
    run(add_service, service.id, service.name, to_string(service.vip), service.vip.protocol, preview,
        service.affinity_client, service.retired, generation_in_range(service.added_after));
    record.services.push_back(record_of(service));
  }
  SQLite::Statement add_backend(
      sqlite, "INSERT INTO backends (id, service, socket, protocol, retired) VALUES (?, ?, ?, ?, ?)");
  for (const BackendState& backend : inventory.backends) {
    run(add_backend, backend.id, backend.service, to_string(backend.socket), backend.socket.protocol,
        backend.retired);
    record.backends.push_back(record_of(backend));
  }
  write_change(sqlite, record, inventory);
}

void write_change(SQLite::Database& sqlite, const ChangeRecord& record, const Inventory& rest) {
  write_record(sqlite, record);
  write_lock(sqlite, rest.lock);
  raise_given(sqlite, rest.given_generation);
  raise_generation(sqlite, "published_generation", rest.published_generation);
  raise_generation(sqlite, "revision", rest.revision);
}

void write_record(SQLite::Database& sqlite, const ChangeRecord& record) {
  write_services(sqlite, record.services);
  write_backends(sqlite, record.backends);
}

void write_lock(SQLite::Database& sqlite, const std::optional<ChangeLock>& lock) {
  sqlite.exec("DELETE FROM lock");
  if (!lock) return;
  SQLite::Statement add(sqlite,
                        "INSERT INTO lock (id, uid, user, reason, at_ms, by_root) VALUES (0, ?, ?, ?, ?, ?)");
  run(add, lock->uid, lock->user, lock->reason, in_range(lock->at_ms, kMaxTimeMs), lock->by_root);
}

std::optional<std::string> read_good_config(SQLite::Database& sqlite) {
  SQLite::Statement select(sqlite, "SELECT id, text FROM good_config");
  if (!select.executeStep()) return std::nullopt;
  Row row(select, "good_config");
  row.integer("id", 0, 0);
  return row.text("text");
}

void write_good_config(SQLite::Database& sqlite, const std::string& text) {
  SQLite::Statement set(sqlite, "INSERT OR REPLACE INTO good_config (id, text) VALUES (0, ?)");
  run(set, text);
}

void raise_given(SQLite::Database& sqlite, uint64_t generation) {
  raise_generation(sqlite, "given_generation", generation);
  // Half of a block ahead at least, so that few commits write it.
  SQLite::Statement reserve(sqlite,
                            "UPDATE meta SET value = ?1 + ?2 WHERE key = 'reserved_generation' AND "
                            "value < ?1 + ?2 / 2");
  run(reserve, generation_in_range(generation), static_cast<int64_t>(State::kReservedGenerations));
}

void raise_generation(SQLite::Database& sqlite, const std::string& which, uint64_t generation) {
  SQLite::Statement raise(sqlite, "UPDATE meta SET value = max(value, ?) WHERE key = ?");
  run(raise, generation_in_range(generation), which);
}

}  // namespace teal
