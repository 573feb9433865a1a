// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_drain.h"

namespace teal {

namespace {

constexpr int64_t kMaxResetRate = 1'000'000;

void read_fields(const ConfigNode& table, DrainConfig& drain) {
  if (const auto node = table.find("timeout"))
    drain.timeout = node->duration(kMinTimeout, kMaxTimeout).value_or(drain.timeout);
  if (const auto node = table.find("then")) {
    using Then = DrainConfig::Then;
    drain.then = node->choice<Then>({{"wait", Then::kWait}, {"reset", Then::kReset}}).value_or(drain.then);
  }
  if (const auto node = table.find("udp")) {
    using Udp = DrainConfig::Udp;
    drain.udp = node->choice<Udp>({{"stick", Udp::kStick}, {"cut", Udp::kCut}}).value_or(drain.udp);
  }
}

}  // namespace

DrainDefaults read_drain_defaults(const ConfigNode& root) {
  DrainDefaults defaults;
  const auto table = root.find("drain");
  if (!table || !table->expect_table("a table [drain]")) return defaults;
  table->allow_only({"timeout", "then", "udp", "reset_rate"});
  read_fields(*table, defaults.drain);
  if (const auto node = table->find("reset_rate")) {
    defaults.reset_rate =
        static_cast<uint32_t>(node->integer(1, kMaxResetRate).value_or(defaults.reset_rate));
  }
  return defaults;
}

void read_service_drain(const ConfigNode& table, DrainConfig& drain) {
  if (!table.expect_table("a table such as { timeout = \"5m\", then = \"wait\" }")) return;
  table.allow_only({"timeout", "then", "udp", "reset_rate"});
  read_fields(table, drain);
  if (const auto node = table.find("reset_rate"))
    node->error("is shared by all services, expected it in the table [drain]");
}

}  // namespace teal
