// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_check.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "control/config/config_command.h"

namespace teal {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeastCheckTime{100};
constexpr milliseconds kMostInterval = std::chrono::hours(1);
constexpr milliseconds kMostCheckTimeout = std::chrono::minutes(1);
constexpr milliseconds kMostSlowStart = std::chrono::hours(1);
constexpr milliseconds kLeastEjection{100}, kMostEjection = std::chrono::hours(1);
constexpr uint32_t kMostEjectFailures = 10'000;
constexpr char kStatusForm[] = "a status code or a range from 100 to 599 such as \"200\" or \"200-399\"";

constexpr std::string_view kCommonKeys[] = {"kind", "interval", "timeout", "rise", "fall"};
struct KeyOfKind {
  std::string_view key;
  std::vector<CheckKind> kinds;
};
const std::vector<KeyOfKind>& keys_of_kinds() {
  static const std::vector<KeyOfKind> kKeys = {{"port", {CheckKind::kTcp, CheckKind::kHttp, CheckKind::kUdp}},
                                               {"path", {CheckKind::kHttp}},
                                               {"host", {CheckKind::kHttp}},
                                               {"status", {CheckKind::kHttp}},
                                               {"match", {CheckKind::kHttp}},
                                               {"send", {CheckKind::kUdp}},
                                               {"expect", {CheckKind::kUdp}},
                                               {"command", {CheckKind::kCommand}}};
  return kKeys;
}

// Returns whether the bytes can stand in a request line or header: no spaces and no control characters.
bool is_graphic(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::optional<std::string> read_text(const ConfigNode& node, size_t most_bytes) {
  const std::string expected = "a text of 1 to " + std::to_string(most_bytes) + " bytes";
  auto text = node.text(expected);
  if (!text) return std::nullopt;
  if (text->empty() || text->size() > most_bytes) {
    node.error("has " + std::to_string(text->size()) + " bytes, expected " + expected);
    return std::nullopt;
  }
  return text;
}

std::optional<std::string> read_graphic(const ConfigNode& node, size_t most_bytes, std::string_view form) {
  auto text = node.text(form);
  if (!text) return std::nullopt;
  if (!text->empty() && text->size() <= most_bytes && is_graphic(*text)) return text;
  node.error("is " + in_quotes(*text) + ", expected " + std::string(form));
  return std::nullopt;
}

std::optional<std::string> read_path(const ConfigNode& node) {
  constexpr char kForm[] = "a path of at most 1024 bytes that begins with \"/\" and has no spaces";
  auto path = read_graphic(node, kMaxCheckText, kForm);
  if (!path || path->starts_with('/')) return path;
  node.error("is " + in_quotes(*path) + ", expected " + kForm);
  return std::nullopt;
}

std::optional<uint16_t> parse_status(std::string_view text) {
  uint16_t status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  if (error != std::errc() || end != text.data() + text.size() || text.size() != 3) return std::nullopt;
  return status >= 100 && status <= 599 ? std::optional(status) : std::nullopt;
}

void read_status(const ConfigNode& node, HealthCheck& check) {
  const auto text = node.text(kStatusForm);
  if (!text) return;
  const size_t dash = text->find('-');
  const auto least = parse_status(std::string_view(*text).substr(0, dash));
  const auto most =
      dash == std::string::npos ? least : parse_status(std::string_view(*text).substr(dash + 1));
  if (!least || !most || *least > *most) {
    node.error("is " + in_quotes(*text) + ", expected " + kStatusForm);
    return;
  }
  check.least_status = *least;
  check.most_status = *most;
}

// Reports keys that belong to another kind of check, and unknown keys.
void check_keys(const ConfigNode& table, CheckKind kind) {
  std::vector<std::string_view> known(std::begin(kCommonKeys), std::end(kCommonKeys));
  for (const KeyOfKind& of : keys_of_kinds()) {
    known.push_back(of.key);
    const auto node = table.find(of.key);
    if (!node || std::find(of.kinds.begin(), of.kinds.end(), kind) != of.kinds.end()) continue;
    std::string kinds;
    for (const CheckKind each : of.kinds)
      kinds += (kinds.empty() ? "\"" : " or \"") + std::string(name_of(each)) + "\"";
    node->error("is not a key of this check, whose kind is \"" + std::string(name_of(kind)) +
                "\", expected it with kind " + kinds + " only");
  }
  table.allow_only(known);
}

template <typename T, typename U>
void take(std::optional<T> value, U& into) {
  if (value) into = static_cast<U>(std::move(*value));
}

void read_fields_of_kind(const ConfigNode& table, HealthCheck& check) {
  if (const auto node = table.find("port"); node && check.kind != CheckKind::kCommand)
    take(node->integer(1, 65535), check.port);
  switch (check.kind) {
    case CheckKind::kTcp:
      return;
    case CheckKind::kHttp:
      if (const auto node = table.find("path")) take(read_path(*node), check.path);
      if (const auto node = table.find("host"))
        take(read_graphic(*node, kMaxCheckHost, "a host name without spaces such as \"shop.example\""),
             check.host);
      if (const auto node = table.find("status")) read_status(*node, check);
      if (const auto node = table.find("match")) take(read_text(*node, kMaxCheckText), check.match);
      return;
    case CheckKind::kUdp:
      if (const auto node = table.require("send", "the text of the request, such as \"ping\""))
        take(read_text(*node, kMaxCheckText), check.send);
      if (const auto node = table.find("expect")) take(read_text(*node, kMaxCheckText), check.expect);
      return;
    case CheckKind::kCommand:
      if (const auto node = table.require("command", kCommandForm)) check.command = read_command(*node);
      return;
  }
}

// Reads `eject`: false, or a table with what differs from the defaults.
EjectRules read_eject(const ConfigNode& node) {
  EjectRules rules;
  if (!node.is_table()) {
    if (const auto flag = node.flag()) rules.is_on = *flag;
    return rules;
  }
  node.allow_only({"failures", "time", "max_share"});
  if (const auto key = node.find("failures")) take(key->integer(1, kMostEjectFailures), rules.failures);
  if (const auto key = node.find("time")) take(key->duration(kLeastEjection, kMostEjection), rules.time);
  if (const auto key = node.find("max_share")) take(key->integer(0, 100), rules.max_share);
  return rules;
}

}  // namespace

std::string eject_text(const EjectRules& rules) {
  if (!rules.is_on) return "off";
  return std::to_string(rules.failures) + " failures, " + duration_text(rules.time) + ", " +
         std::to_string(rules.max_share) + " %";
}

std::optional<HealthCheck> read_check(const ConfigNode& service) {
  const auto table = service.find("check");
  if (!table || !table->expect_table("a table such as [service.check] with kind = \"tcp\""))
    return std::nullopt;
  HealthCheck check;
  const auto kind_node = table->require("kind", "\"tcp\", \"http\", \"udp\" or \"command\"");
  const auto kind = kind_node ? kind_node->choice<CheckKind>({{"tcp", CheckKind::kTcp},
                                                              {"http", CheckKind::kHttp},
                                                              {"udp", CheckKind::kUdp},
                                                              {"command", CheckKind::kCommand}})
                              : std::nullopt;
  if (kind) {  // without a kind, nothing says which keys are right
    check.kind = *kind;
    check_keys(*table, *kind);
    read_fields_of_kind(*table, check);
  }
  if (const auto node = table->find("interval"))
    take(node->duration(kLeastCheckTime, kMostInterval), check.interval);
  if (const auto node = table->find("timeout"))
    take(node->duration(kLeastCheckTime, kMostCheckTimeout), check.timeout);
  if (const auto node = table->find("rise")) take(node->integer(1, kMaxRiseFall), check.rise);
  if (const auto node = table->find("fall")) take(node->integer(1, kMaxRiseFall), check.fall);
  return check;
}

HealthRules read_health_rules(const ConfigNode& service) {
  HealthRules rules;
  if (const auto node = service.find("on_down"))
    take(node->choice<HealthRules::OnDown>(
             {{"keep", HealthRules::OnDown::kKeep}, {"reset", HealthRules::OnDown::kReset}}),
         rules.on_down);
  if (const auto node = service.find("slow_start"))
    take(node->duration(milliseconds(0), kMostSlowStart), rules.slow_start);
  if (const auto node = service.find("panic")) take(node->integer(0, 100), rules.panic);
  if (const auto node = service.find("empty"))
    take(node->choice<HealthRules::Empty>(
             {{"serve", HealthRules::Empty::kServe}, {"reject", HealthRules::Empty::kReject}}),
         rules.empty);
  if (const auto node = service.find("eject")) rules.eject = read_eject(*node);
  return rules;
}

}  // namespace teal
