// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/backend_metrics.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "control/metrics/family.h"

namespace teal {

namespace {

constexpr size_t kRowsPerSlice = 128;

// The values of a backend in one colour of a service. A backend that has left the pool has only flows.
struct BackendRow {
  std::string labels;
  uint64_t flows = 0;
  bool is_member = true;
  bool has_next_hop = false;
  uint32_t weight = 0;
  AdminState admin = AdminState::kReady;
  Health health = Health::kUnchecked;
  std::optional<bool> passed;  // its latest check
  bool is_ejected = false;
};

void add_colour(std::vector<BackendRow>& rows, const CatalogueService& service, Colour colour,
                const Publisher& publisher, const HealthBoard& health, const Segment* segment) {
  const auto row = [&](const PoolMember& member) {
    return BackendRow{.labels = fmt::format(R"(service="{}",colour="{}",backend="{}")", service.config->name,
                                            name_of(colour), to_string(member.socket)),
                      .flows = publisher.flows(member.id, colour).live};
  };
  const auto add_former = [&](const PoolMember& member) {
    if (publisher.flows(member.id, colour).live == 0) return;
    rows.push_back(row(member));
    rows.back().is_member = false;
  };
  const std::vector<PoolMember>& members = service.pools[static_cast<size_t>(colour)];
  std::vector<uint16_t> ids;
  for (const PoolMember& member : members) {
    BackendRow present = row(member);
    present.has_next_hop = segment != nullptr && segment->header().next_hops[member.id].load(
                                                     std::memory_order_relaxed) != Hop::kNone;
    present.weight = member.weight;
    present.admin = member.admin;
    present.is_ejected = health.ejector().of(member.id) != nullptr;
    if (const BackendHealth* known = health.of(member.id); known != nullptr) {
      present.health = known->health;
      present.passed = known->passed;
    }
    rows.push_back(std::move(present));
    ids.push_back(member.id);
  }
  std::sort(ids.begin(), ids.end());
  for (const PoolMember& there : service.pools[static_cast<size_t>(other(colour))])
    if (!std::binary_search(ids.begin(), ids.end(), there.id)) add_former(there);
  for (const PoolMember& member : service.retired) add_former(member);
}

Task<std::vector<BackendRow>> collect_rows(const ChangeExecutor& executor, const Publisher& publisher,
                                           const HealthBoard& health) {
  const std::shared_ptr<Segment> segment = publisher.segment();
  std::vector<BackendRow> rows;
  size_t sliced = 0;
  for (const std::string& name : executor.catalogue().names()) {  // a copy: a reload may replace the services
    const CatalogueService* service = executor.catalogue().find(name);
    if (service == nullptr) continue;
    for (const Colour colour : {Colour::kBlue, Colour::kGreen})
      add_colour(rows, *service, colour, publisher, health, segment.get());
    if (rows.size() < sliced + kRowsPerSlice) continue;
    sliced = rows.size();
    co_await yield_to_loop();
  }
  co_return rows;
}

}  // namespace

Task<void> write_backends(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher,
                          const HealthBoard& health) {
  const std::vector<BackendRow> rows = co_await collect_rows(executor, publisher, health);
  const auto write = [&](LongFamily& family, bool of_members, auto add) -> Task<void> {
    for (const BackendRow& row : rows) {
      if (row.is_member || !of_members) add(family, row);
      if (family.slice_is_over()) co_await yield_to_loop();
    }
  };
  LongFamily flows(out, "teal_backend_flows", "Live flows of the backend.", MetricType::Gauge);
  co_await write(flows, false, [](LongFamily& to, const BackendRow& row) { to.add(row.labels, row.flows); });
  LongFamily hops(out, "teal_backend_next_hop_up",
                  "1 if the dataplane knows where to send packets of the backend, otherwise 0.",
                  MetricType::Gauge);
  co_await write(hops, true,
                 [](LongFamily& to, const BackendRow& row) { to.add(row.labels, row.has_next_hop ? 1 : 0); });
  LongFamily weights(out, "teal_backend_weight",
                     "Weight of the backend that is in force; 0 if it takes no new flows.",
                     MetricType::Gauge);
  co_await write(weights, true,
                 [](LongFamily& to, const BackendRow& row) { to.add(row.labels, row.weight); });
  LongFamily states(out, "teal_backend_admin_state",
                    "Always 1; the label has the admin state: ready, drain or maint.", MetricType::Gauge);
  co_await write(states, true, [](LongFamily& to, const BackendRow& row) {
    to.add(fmt::format(R"({},state="{}")", row.labels, kAdminStateNames[static_cast<size_t>(row.admin)]), 1);
  });
  LongFamily up(out, "teal_backend_up",
                "1 if the backend passes its health checks, 0 if it is down; absent before the first result.",
                MetricType::Gauge);
  co_await write(up, true, [](LongFamily& to, const BackendRow& row) {
    if (row.health != Health::kUnchecked) to.add(row.labels, row.health == Health::kUp ? 1 : 0);
  });
  LongFamily passed(out, "teal_backend_check_passed",
                    "1 if the latest health check of the backend passed, 0 if it failed; absent before the "
                    "first result.",
                    MetricType::Gauge);
  co_await write(passed, true, [](LongFamily& to, const BackendRow& row) {
    if (row.passed) to.add(row.labels, *row.passed ? 1 : 0);
  });
  LongFamily ejected(
      out, "teal_backend_ejected",
      "1 if the backend takes no new flows for a while, because its flows failed, otherwise 0.",
      MetricType::Gauge);
  co_await write(ejected, true,
                 [](LongFamily& to, const BackendRow& row) { to.add(row.labels, row.is_ejected ? 1 : 0); });
}

Task<void> write_pool_modes(std::ostream& out, const ChangeExecutor& executor, const HealthUpkeep& upkeep) {
  LongFamily family(out, "teal_service_pool_mode",
                    "1 for the present mode of the pool, otherwise 0. all_serve: too few backends are up, so "
                    "all of them serve; reject: none is up, and new flows are rejected.",
                    MetricType::Gauge);
  for (const std::string& name : executor.catalogue().names()) {  // a copy: a reload may replace the services
    const CatalogueService* service = executor.catalogue().find(name);
    if (service == nullptr) continue;
    for (size_t colour = 0; colour < kColours; ++colour) {
      const auto present = static_cast<size_t>(upkeep.words().modes[service->id][colour]);
      for (size_t mode = 0; mode < std::size(kPoolModeNames); ++mode)
        family.add(fmt::format(R"(service="{}",colour="{}",mode="{}")", name, kColourNames[colour],
                               kPoolModeNames[mode]),
                   mode == present ? 1 : 0);
    }
    if (family.slice_is_over()) co_await yield_to_loop();
  }
}

void write_prober(std::ostream& out, const HealthBoard& health) {
  write_one(out, "teal_health_checked_backends", "Backends that have a health check.", MetricType::Gauge,
            health.checked());
  write_one(out, "teal_health_prober_up",
            "1 if teal-health reports; 0 if it does not, and the health of backends is the last known one.",
            MetricType::Gauge, uint64_t{health.is_fresh()});
}

}  // namespace teal
