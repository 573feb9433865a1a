// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_board.h"

#include <algorithm>

namespace teal {

void HealthBoard::remember(HealthMemory memory) {
  heard_ms_ = memory.heard_ms;
  memory_ = std::move(memory);
}

HealthMemory HealthBoard::memory() const {
  HealthMemory memory{.backends = {}, .heard_ms = heard_ms_};
  for (const CheckOrder& order : orders_) {
    const BackendHealth& known = slots_[order.backend].health;
    if (known.health == Health::kUnchecked) continue;
    KnownHealth kept{.up = known.health == Health::kUp, .reason = known.reason, .since_ms = known.since_ms};
    if (known.rose_at)
      kept.rose_ms = clock_.wall_ms() - (clock_.now() - *known.rose_at) / std::chrono::milliseconds(1);
    memory.backends.emplace(std::pair(order.service, to_string(order.address)), std::move(kept));
  }
  return memory;
}

// A backend of both colours has one check.
std::vector<CheckOrder> HealthBoard::orders_of(const Catalogue& catalogue) const {
  std::vector<CheckOrder> orders;
  std::vector<size_t> place(kMaxBackends, SIZE_MAX);
  for (const CatalogueService& service : catalogue.services()) {
    if (!service.config->check) continue;
    for (size_t colour = 0; colour < kColours; ++colour) {
      for (const PoolMember& member : service.pools[colour]) {
        if (place[member.id] != SIZE_MAX) {
          if (orders[place[member.id]].colour != kColourNames[colour])
            orders[place[member.id]].colour = "both";
          continue;
        }
        place[member.id] = orders.size();
        orders.push_back({.backend = member.id,
                          .address = member.socket,
                          .service = service.config->name,
                          .colour = kColourNames[colour],
                          .up = {},
                          .check = *service.config->check});
      }
    }
  }
  return orders;
}

bool HealthBoard::follow(const Catalogue& catalogue) {
  std::vector<CheckOrder> orders = orders_of(catalogue);
  const bool same =
      revision_ != 0 && std::equal(orders.begin(), orders.end(), orders_.begin(), orders_.end(),
                                   [](const CheckOrder& a, const CheckOrder& b) { return a.is_like(b); });
  if (same) return false;
  ++revision_;
  ++version_;
  orders_ = std::move(orders);
  std::fill(order_of_.begin(), order_of_.end(), nullptr);
  for (const CheckOrder& order : orders_) order_of_[order.backend] = &order;
  for (uint16_t id = 0; id < kMaxBackends; ++id)
    if (order_of_[id] == nullptr) slots_[id] = Slot();
  for (const CheckOrder& order : orders_) {
    Slot& slot = slots_[order.backend];
    const uint16_t service = catalogue.find(order.service)->id;
    if (slot.is_checked && slot.socket == order.address && slot.service == service) continue;
    slot = {.is_checked = true, .service = service, .socket = order.address, .health = {}};
    if (memory_) take_over(slot, order);
  }
  memory_.reset();
  return true;
}

void HealthBoard::take_over(Slot& slot, const CheckOrder& order) {
  const auto found = memory_->backends.find({order.service, to_string(order.address)});
  if (found == memory_->backends.end()) return;
  const KnownHealth& known = found->second;
  slot.health = {.health = known.up ? Health::kUp : Health::kDown,
                 .passed = {},
                 .reason = known.reason,
                 .since_ms = known.since_ms,
                 .rose_at = {}};
  const int64_t ago_ms = std::max<int64_t>(clock_.wall_ms() - known.rose_ms, 0);
  if (known.up && known.rose_ms != 0)
    slot.health.rose_at = clock_.now() - std::chrono::milliseconds(std::min<int64_t>(ago_ms, 1LL << 40));
}

CheckList HealthBoard::list() const {
  CheckList list{.revision = revision_, .checks = orders_};
  for (CheckOrder& order : list.checks) {
    const Health health = slots_[order.backend].health.health;
    if (health != Health::kUnchecked) order.up = health == Health::kUp;
  }
  return list;
}

bool HealthBoard::take(const HealthReport& report) {
  if (report.revision != revision_ || report.backend >= kMaxBackends || !slots_[report.backend].is_checked)
    return false;
  BackendHealth& known = slots_[report.backend].health;
  const CheckOrder& order = *order_of_[report.backend];
  const Health now = report.up ? Health::kUp : Health::kDown;
  if (now != known.health || report.reason != known.reason) ++version_;
  if (now != known.health) {
    const int64_t wall_ms = clock_.wall_ms();
    known.since_ms = report.at_ms > 0 && report.at_ms <= wall_ms ? report.at_ms : wall_ms;
    known.rose_at.reset();
    if (known.health == Health::kDown) known.rose_at = clock_.now();
    if (known.health == Health::kDown || now == Health::kDown)
      turns_.push_back({report.backend, to_string(order.address), order.service, report.up, report.reason});
    known.health = now;
  }
  known.passed = report.passed;
  known.heard_at = clock_.now();
  known.reason = report.reason;
  return true;
}

std::string HealthBoard::why_out(uint16_t backend) const {
  if (is_down(backend)) return "down: " + slots_[backend].health.reason;
  const Ejector::Ejection* ejection = ejector_.of(backend);
  return ejection == nullptr ? "" : "ejected: " + reason_of(*ejection);
}

void HealthBoard::prober_came() {
  connected_ = true;
  prober_spoke();
}

void HealthBoard::prober_spoke() {
  heard_at_ = clock_.now();
  heard_ms_ = clock_.wall_ms();
}

std::optional<int64_t> HealthBoard::unknown_since_ms() const {
  if (is_fresh()) return std::nullopt;
  return heard_ms_;
}

}  // namespace teal
