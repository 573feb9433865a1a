// SPDX-License-Identifier: Apache-2.0
#include "control/config/config.h"

#include <algorithm>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "control/config/config_api.h"
#include "control/config/config_drain.h"
#include "control/config/config_name.h"
#include "control/config/config_rollout.h"
#include "control/config/config_service.h"
#include "dataplane/config/config_reader.h"
#include "dataplane/config/nearest.h"

namespace teal {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct TimeoutField {
  const char* name;
  uint32_t Timeouts::*ticks;
  milliseconds fallback;
};
constexpr TimeoutField kTimeoutFields[] = {
    {"embryonic", &Timeouts::embryonic, seconds(30)},
    {"tcp_established", &Timeouts::tcp_established, hours(2) + minutes(4)},  // RFC 5382, REQ-5
    {"tcp_half_closed", &Timeouts::tcp_half_closed, minutes(5)},
    {"tcp_closed", &Timeouts::tcp_closed, seconds(10)},
    {"udp_established", &Timeouts::udp_established, seconds(60)},
};

// Rounds up, so that no flow ends before its timeout.
uint32_t to_ticks(milliseconds duration) {
  constexpr int64_t kTickMs = kTickNs / 1'000'000;
  return static_cast<uint32_t>((duration.count() + kTickMs - 1) / kTickMs);
}

Timeouts read_timeouts(const ConfigNode& root) {
  Timeouts timeouts{};
  for (const TimeoutField& field : kTimeoutFields) timeouts.*field.ticks = to_ticks(field.fallback);
  const auto table = root.find("timeouts");
  if (!table || !table->expect_table("a table [timeouts]")) return timeouts;
  std::vector<std::string_view> names;
  for (const TimeoutField& field : kTimeoutFields) {
    names.push_back(field.name);
    const auto node = table->find(field.name);
    if (!node) continue;
    if (const auto duration = node->duration(kMinTimeout, kMaxTimeout)) {
      timeouts.*field.ticks = to_ticks(*duration);
    }
  }
  table->allow_only(names);
  return timeouts;
}

GroupConfig read_group(const ConfigNode& table, const FirstLines& services, FirstLines& names) {
  constexpr char kMembersForm[] = "an array of service names";
  table.allow_only({"name", "services"});
  GroupConfig group;
  group.name = read_name(table, "group", names);
  const auto node = table.require("services", kMembersForm);
  const auto elements = node ? node->elements(kMembersForm) : std::nullopt;
  if (!elements) return group;
  if (elements->empty()) node->error("is empty, expected at least one service");
  std::unordered_set<std::string> seen;
  for (const ConfigNode& element : *elements) {
    const auto name = element.text("the name of a service");
    if (!name) continue;
    if (!services.contains(*name)) {
      std::vector<std::string_view> known;
      for (const auto& [service, line] : services) known.push_back(service);
      std::sort(known.begin(), known.end());
      element.error("there is no service " + in_quotes(*name) + ", " +
                    nearest_hint(*name, known, "expected the name of a [[service]]"));
    } else if (!seen.insert(*name).second) {
      element.error(in_quotes(*name) + " is already in the group, expected each service once");
    }
    group.services.push_back(*name);
  }
  return group;
}

tl::expected<Config, ConfigErrors> config_of(const tl::expected<ConfigDocument, ConfigErrors>& document,
                                             const std::string& path) {
  if (!document) return tl::unexpected(document.error());
  const ConfigNode root = document->root();
  root.allow_only({"dataplane", "port", "timeouts", "drain", "rollout", "api", "service", "group"});
  Config config;
  config.path = path;
  config.text = document->text();
  config.timeouts = read_timeouts(root);
  config.api = read_api(root, config.api_lines);
  const DrainDefaults defaults = read_drain_defaults(root);
  config.reset_rate = defaults.reset_rate;
  FirstLines service_names;
  const ServiceDefaults service_defaults{defaults.drain, read_rollout_defaults(root)};
  config.services = read_services(root, service_defaults, service_names);
  // A group may have the name of a service: commands name groups with an option of their own (`--group`).
  FirstLines group_names;
  for (const ConfigNode& table : root.tables("group")) {
    config.groups.push_back(read_group(table, service_names, group_names));
  }
  if (auto errors = document->errors(); !errors.empty()) return tl::unexpected(std::move(errors));
  return config;
}

}  // namespace

tl::expected<Config, ConfigErrors> read_config(const std::string& path) {
  return config_of(ConfigDocument::read(path), path);
}

tl::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& path) {
  return config_of(ConfigDocument::parse(text, path), path);
}

}  // namespace teal
