// SPDX-License-Identifier: Apache-2.0
//
// The record of a change has the values that the change sets. The database keeps it with the intent. If teald
// is killed between the publication and the result, the next start applies the record
// (control/change/recovery.h).
//
// The text is JSON with a version. A record names services and backends by id, and each value is checked when
// it is read:
//   {"version":3,
//    "services":[{"id":0,"active":"green","previous":"blue","flip_generation":12,
//                 "flipped_at_ms":1700000000123,"drain_timeout_ms":null,"drain_then":"reset",
//                 "undo":{"to":"blue","generation":12},"flipped_by":{"verb":"flip","uid":1000},
//                 "ramp":null,"preview_clients":"198.18.1.0/24 198.18.3.7/32"}],
//    "backends":[{"id":1,"pools":[{"admin":"drain","weight":3},{"admin":"ready","weight":null}]}]}
// Version 1, of schema 3, has neither "undo" nor "flipped_by". Version 2, of schemas 4 and 5, has no "ramp"
// (ramp.h). Version 3, of schema 6, has no "preview_clients".
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "control/state/inventory.h"

namespace teal {

struct RecordedService {
  uint16_t id = kNoId;
  Colour active = Colour::kBlue;
  std::optional<Colour> previous;
  uint64_t flip_generation = 0;
  int64_t flipped_at_ms = 0;
  std::optional<std::chrono::milliseconds> drain_timeout;
  std::optional<DrainConfig::Then> drain_then;
  std::optional<Undo> undo;
  std::optional<FlippedBy> flipped_by;
  std::optional<Ramp> ramp;
  std::vector<IpPrefix> preview_clients;

  friend bool operator==(const RecordedService&, const RecordedService&) = default;
};

struct RecordedBackend {
  uint16_t id = kNoId;
  std::array<Membership, kColours> members = {};  // by Colour

  friend bool operator==(const RecordedBackend&, const RecordedBackend&) = default;
};

struct ChangeRecord {
  static constexpr int64_t kVersion = 4;

  std::vector<RecordedService> services;
  std::vector<RecordedBackend> backends;

  friend bool operator==(const ChangeRecord&, const ChangeRecord&) = default;
};

RecordedService record_of(const ServiceState& service);
RecordedBackend record_of(const BackendState& backend);

// Sets the drains, ramps, previews and memberships that the record has. Which flips and shares are in force,
// the segment says (learn_splits()). Services and backends that the inventory does not have are left out:
// their ids were released.
void apply(const ChangeRecord& record, Inventory& inventory);

// Sets what the segment does not say about the flips of the record that are in force: how they are undone,
// and who made them.
void describe_flips(const ChangeRecord& record, Inventory& inventory);

std::string to_text(const ChangeRecord& record);

// The error names the value and says what was expected: "services[0].active is 7, expected \"blue\" or
// \"green\"".
tl::expected<ChangeRecord, std::string> parse_change_record(std::string_view text);

}  // namespace teal
