// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_tables.h"

#include <bitset>
#include <unordered_set>

#include <fmt/format.h>

#include "control/config/config_name.h"
#include "dataplane/shm/counters.h"

namespace teal {

namespace {

using Done = Database::Done;

using Sockets = std::unordered_set<Socket, SocketHash>;

constexpr int64_t kLastColour = kColours - 1;
constexpr int64_t kLastAdminState = static_cast<int64_t>(kAdminStateNames.size()) - 1;

// Of two columns, the protocol and the address with the port. Each socket once, as build_ruleset() relies on
// it.
Socket read_unique_socket(Row& row, std::string_view column, Sockets& seen) {
  const int64_t protocol = row.integer("protocol", 0, UINT8_MAX);
  row.expect(protocol == kProtocolTcp || protocol == kProtocolUdp, "protocol",
             fmt::format("{} (TCP) or {} (UDP)", kProtocolTcp, kProtocolUdp));
  const std::optional<Socket> written = parse_socket(row.text(column));
  row.expect(written.has_value(), column, "an address and port such as \"198.18.0.10:80\"");
  Socket socket = written.value_or(Socket{});
  socket.protocol = static_cast<uint8_t>(protocol);
  row.expect(seen.insert(socket).second, column, "another socket in each row");
  return socket;
}

Done read_services(const Database& database, Inventory& inventory) {
  Statement select(
      database,
      "SELECT id, name, protocol, vip, affinity_client, retired, active, previous, flip_generation, "
      "flipped_at_ms, drain_timeout_ms, drain_then FROM services ORDER BY id");
  std::bitset<kMaxServices> ids;
  std::unordered_set<std::string> names;
  Sockets vips;
  while (select.row()) {
    Row row(database, select, "services");
    ServiceState service;
    service.id = static_cast<uint16_t>(row.integer("id", 0, kMaxServices - 1));
    if (row.fine()) row.expect(!ids[service.id], "id", "another in each row");
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
    if (!row.fine()) return row.done();
    ids.set(service.id);
    inventory.services.push_back(std::move(service));
  }
  if (!select.complete()) return tl::unexpected(database.failed("read the services"));
  return {};
}

Done read_backends(const Database& database, Inventory& inventory) {
  std::bitset<kMaxServices> services;
  for (const ServiceState& service : inventory.services) services.set(service.id);
  Statement select(database, "SELECT id, service, protocol, socket, retired FROM backends ORDER BY id");
  std::bitset<kMaxBackends> ids;
  Sockets sockets;
  while (select.row()) {
    Row row(database, select, "backends");
    BackendState backend;
    backend.id = static_cast<uint16_t>(row.integer("id", 0, kMaxBackends - 1));
    if (row.fine()) row.expect(!ids[backend.id], "id", "another in each row");
    backend.service = static_cast<uint16_t>(row.integer("service", 0, kMaxServices - 1));
    if (row.fine()) row.expect(services[backend.service], "service", "the id of a service");
    backend.socket = read_unique_socket(row, "socket", sockets);
    backend.retired = row.integer("retired", 0, 1) != 0;
    if (!row.fine()) return row.done();
    ids.set(backend.id);
    inventory.backends.push_back(backend);
  }
  if (!select.complete()) return tl::unexpected(database.failed("read the backends"));
  return {};
}

Done read_memberships(const Database& database, Inventory& inventory) {
  std::vector<BackendState*> by_id(kMaxBackends, nullptr);
  for (BackendState& backend : inventory.backends) by_id[backend.id] = &backend;
  Statement select(database, "SELECT rowid, backend, colour, admin, weight FROM memberships");
  while (select.row()) {
    Row row(database, select, "memberships");
    row.integer("rowid", INT64_MIN, INT64_MAX);
    const int64_t id = row.integer("backend", 0, kMaxBackends - 1);
    if (row.fine()) row.expect(by_id[id] != nullptr, "backend", "the id of a backend");
    const int64_t colour = row.integer("colour", 0, kLastColour);
    Membership member;
    member.admin = static_cast<AdminState>(row.integer("admin", 0, kLastAdminState));
    if (const auto weight = row.integer_or_null("weight", 0, kMaxWeight))
      member.weight = static_cast<uint32_t>(*weight);
    if (!row.fine()) return row.done();
    by_id[id]->members[static_cast<size_t>(colour)] = member;
  }
  if (!select.complete()) return tl::unexpected(database.failed("read the backends' states"));
  return {};
}

Done read_lock(const Database& database, Inventory& inventory) {
  Statement select(database, "SELECT id, uid, user, reason, at_ms FROM lock");
  while (select.row()) {
    Row row(database, select, "lock");
    row.integer("id", 0, 0);
    row.expect(!inventory.lock.has_value(), "id", "one row at most");
    ChangeLock lock;
    lock.uid = static_cast<uint32_t>(row.integer("uid", 0, UINT32_MAX));
    lock.user = row.prose("user");
    lock.reason = row.prose("reason");
    lock.at_ms = row.integer("at_ms", 0, kMaxTimeMs);
    if (!row.fine()) return row.done();
    inventory.lock = std::move(lock);
  }
  if (!select.complete()) return tl::unexpected(database.failed("read the lock"));
  return {};
}

Done read_generation(const Database& database, const std::string& which, uint64_t& generation) {
  Statement select(database, "SELECT key, value FROM meta WHERE key = ?");
  select.bind(which);
  if (!select.row()) {
    if (!select.complete()) return tl::unexpected(database.failed("read the generation"));
    return tl::unexpected(database.damaged(fmt::format("table meta: there is no row \"{}\"", which)));
  }
  Row row(database, select, "meta");
  row.text("key");
  generation = static_cast<uint64_t>(row.integer("value", 0, kMaxGeneration));
  return row.done();
}

Done write_service(Statement& insert, const Database& database, const ServiceState& service) {
  insert.bind(service.id).bind(service.name).bind(to_string(service.vip)).bind(service.vip.protocol);
  insert.bind(service.affinity_client).bind(service.retired);
  if (!insert.run_again()) return tl::unexpected(database.failed("write service " + service.name));
  return {};
}

Done write_memberships(Database& database, const BackendState& backend, bool had_some) {
  const auto failure = [&] {
    return tl::unexpected(database.failed("write the state of backend " + to_string(backend.socket)));
  };
  if (had_some) {
    Statement remove(database, "DELETE FROM memberships WHERE backend = ?");
    if (!remove.bind(backend.id).run()) return failure();
  }
  for (size_t colour = 0; colour < kColours; ++colour) {
    const Membership& member = backend.members[colour];
    if (member == Membership{}) continue;
    Statement add(database, "INSERT INTO memberships (backend, colour, admin, weight) VALUES (?, ?, ?, ?)");
    add.bind(backend.id).bind(static_cast<int64_t>(colour)).bind(static_cast<int64_t>(member.admin));
    if (!add.bind(member.weight ? std::optional<int64_t>(std::min(*member.weight, kMaxWeight)) : std::nullopt)
             .run())
      return failure();
  }
  return {};
}

// What changes while a service is there.
Done write_targets(Database& database, std::span<const ServiceState> services) {
  const auto number = [](const auto& value) {
    return value ? std::optional(static_cast<int64_t>(*value)) : std::nullopt;
  };
  Statement set(database,
                "UPDATE services SET active = ?, previous = ?, flip_generation = ?, flipped_at_ms = ?, "
                "drain_timeout_ms = ?, drain_then = ? WHERE id = ?");
  for (const ServiceState& service : services) {
    set.bind(static_cast<int64_t>(service.active)).bind(number(service.previous));
    set.bind(generation_in_range(service.flip_generation)).bind(in_range(service.flipped_at_ms, kMaxTimeMs));
    set.bind(service.drain_timeout ? std::optional(in_range(service.drain_timeout->count(), kMaxDurationMs))
                                   : std::nullopt);
    if (!set.bind(number(service.drain_then)).bind(service.id).run_again())
      return tl::unexpected(database.failed("write the target of service " + service.name));
  }
  return {};
}

}  // namespace

tl::expected<Inventory, std::string> read_inventory(const Database& database) {
  Inventory inventory;
  for (const auto read : {read_services, read_backends, read_memberships, read_lock}) {
    if (Done done = read(database, inventory); !done) return tl::unexpected(done.error());
  }
  if (Done done = read_generation(database, "given_generation", inventory.given_generation); !done)
    return tl::unexpected(done.error());
  if (Done done = read_generation(database, "published_generation", inventory.published_generation); !done)
    return tl::unexpected(done.error());
  return inventory;
}

Done write_inventory(Database& database, const Inventory& inventory) {
  if (Done done = database.execute("DELETE FROM memberships; DELETE FROM backends; DELETE FROM services");
      !done)
    return done;
  Statement add_service(database,
                        "INSERT INTO services (id, name, vip, protocol, affinity_client, retired, active, "
                        "flip_generation, flipped_at_ms) VALUES (?, ?, ?, ?, ?, ?, 0, 0, 0)");
  for (const ServiceState& service : inventory.services) {
    if (Done done = write_service(add_service, database, service); !done) return done;
  }
  if (Done done = write_targets(database, inventory.services); !done) return done;
  Statement add_backend(
      database, "INSERT INTO backends (id, service, socket, protocol, retired) VALUES (?, ?, ?, ?, ?)");
  for (const BackendState& backend : inventory.backends) {
    add_backend.bind(backend.id).bind(backend.service).bind(to_string(backend.socket));
    if (!add_backend.bind(backend.socket.protocol).bind(backend.retired).run_again())
      return tl::unexpected(database.failed("write backend " + to_string(backend.socket)));
    if (Done done = write_memberships(database, backend, false); !done) return done;
  }
  if (Done done = write_lock(database, inventory.lock); !done) return done;
  if (Done done = raise_generation(database, "given_generation", inventory.given_generation); !done)
    return done;
  return raise_generation(database, "published_generation", inventory.published_generation);
}

Done write_changed(Database& database, std::span<const ServiceState> services,
                   std::span<const BackendState> backends) {
  if (Done done = write_targets(database, services); !done) return done;
  for (const BackendState& backend : backends) {
    if (Done done = write_memberships(database, backend, true); !done) return done;
  }
  return {};
}

Done write_lock(Database& database, const std::optional<ChangeLock>& lock) {
  if (Done done = database.execute("DELETE FROM lock"); !done || !lock) return done;
  Statement add(database, "INSERT INTO lock (id, uid, user, reason, at_ms) VALUES (0, ?, ?, ?, ?)");
  add.bind(lock->uid).bind(lock->user).bind(lock->reason).bind(in_range(lock->at_ms, kMaxTimeMs));
  if (!add.run()) return tl::unexpected(database.failed("write the lock"));
  return {};
}

Done raise_generation(Database& database, const std::string& which, uint64_t generation) {
  Statement raise(database, "UPDATE meta SET value = max(value, ?) WHERE key = ?");
  if (!raise.bind(generation_in_range(generation)).bind(which).run())
    return tl::unexpected(database.failed("write the generation"));
  return {};
}

}  // namespace teal
