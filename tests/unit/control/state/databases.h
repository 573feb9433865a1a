// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <initializer_list>
#include <string>

#include "control/state/change_record.h"
#include "control/state/inventory.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/run_sql.h"

namespace teal {

// service-a was flipped by uid 1000, service-b is retired with its backend; generations 9 (given) and 7
// (published).
inline Inventory some_inventory() {
  Inventory inventory;
  inventory.services = {
      {.id = 0,
       .name = "service-a",
       .vip = tcp("198.18.0.10:80"),
       .active = Colour::kGreen,
       .previous = Colour::kBlue,
       .flip_generation = 7,
       .flipped_at_ms = 1'700'000'000'123},
      {.id = 5, .name = "service-b", .vip = tcp("[fd18::10]:80"), .affinity_client = true, .retired = true}};
  inventory.services[0].undo = Undo{Colour::kBlue, 7};
  inventory.services[0].flipped_by = FlippedBy{FlipVerb::kFlip, 1000};
  inventory.backends = {{0, 0, tcp("198.18.2.11:8080"), false}, {4095, 5, tcp("[fd18:2::11]:8080"), true}};
  inventory.given_generation = 9;
  inventory.published_generation = 7;
  return inventory;
}

// With all that an operator can set.
inline Inventory tended_inventory() {
  Inventory inventory = some_inventory();
  inventory.services[0].drain_timeout = std::chrono::milliseconds(1500);
  inventory.services[0].drain_then = DrainConfig::Then::kReset;
  inventory.services[1].drain_then = DrainConfig::Then::kWait;
  inventory.services[1].ramp = Ramp{7, {.steps = {100, 2500, kShareOne}}, 1, "a look at the logs"};
  inventory.services[0].preview = tcp("198.18.0.110:80");
  inventory.services[0].preview_clients = {*parse_prefix("198.18.1.0/24"), *parse_prefix("198.18.3.7")};
  inventory.backends[0].members = {Membership{AdminState::kMaint, 0}, Membership{AdminState::kReady, 1000}};
  inventory.backends[1].members[1].admin = AdminState::kDrain;
  inventory.lock = ChangeLock{1000, "operator", "no changes before the match is over", 1'700'000'000'999};
  return inventory;
}

inline void expect_same(const Inventory& loaded, const Inventory& saved) {
  EXPECT_EQ(loaded.services, saved.services);
  EXPECT_EQ(loaded.backends, saved.backends);
  EXPECT_EQ(loaded.lock, saved.lock);
  EXPECT_EQ(loaded.given_generation, saved.given_generation);
  EXPECT_EQ(loaded.published_generation, saved.published_generation);
}

inline constexpr int64_t kFinishedAtMs = 1'700'000'002'000;  // of the changes in these tests

// The record of a change that sets these states.
inline ChangeRecord recorded(std::initializer_list<ServiceState> services,
                             std::initializer_list<BackendState> backends = {}) {
  ChangeRecord record;
  for (const ServiceState& service : services) record.services.push_back(record_of(service));
  for (const BackendState& backend : backends) record.backends.push_back(record_of(backend));
  return record;
}

}  // namespace teal
