// SPDX-License-Identifier: Apache-2.0
#include "control/config.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "control/config_socket.h"
#include "dataplane/config_reader.h"

namespace teal {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int64_t kMostWeight = 1000;
constexpr char kNameForm[] = "1 to 63 of a-z, 0-9 and '-', not '-' first";
constexpr char kPoolForm[] = "an array of backends such as [\"198.18.2.11:8080\"]";

// Far below 2^31 ticks, from where on differences of coarse time would be ambiguous.
constexpr milliseconds kLeastTimeout{100};
constexpr milliseconds kMostTimeout = hours(168);

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

// Rounded up, so that nothing ends before its time.
uint32_t to_ticks(milliseconds duration) {
  constexpr int64_t kTickMs = kTickNs / 1'000'000;
  return static_cast<uint32_t>((duration.count() + kTickMs - 1) / kTickMs);
}

bool is_name(std::string_view text) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), allowed);
}

// The line where a name was first used, by name.
using FirstLines = std::unordered_map<std::string, uint32_t>;

// The name even if it is refused, so that errors elsewhere can use it; "" if there is none.
std::string read_name(const ConfigNode& table, std::string_view kind, FirstLines& first_lines) {
  const auto node = table.require("name", kNameForm);
  if (!node) return "";
  const auto name = node->text(kNameForm);
  if (!name) return "";
  if (!is_name(*name)) node->error(in_quotes(*name) + " is no name, expected " + kNameForm);
  const auto [first, is_new] = first_lines.emplace(*name, node->line());
  if (!is_new) {
    node->error(in_quotes(*name) + " is the name of the " + std::string(kind) + " of line " +
                std::to_string(first->second) + " too, expected another for each " + std::string(kind));
  }
  return *name;
}

class ServiceReader {
 public:
  std::vector<ServiceConfig> read(const ConfigNode& root) {
    const auto tables = root.require_tables("service", "at least one [[service]]");
    if (tables.size() > kMaxServices) {
      tables[kMaxServices].error("is one service too many: there are " + std::to_string(tables.size()) +
                                 ", expected at most " + std::to_string(kMaxServices));
    }
    std::vector<ServiceConfig> services;
    services.reserve(tables.size());
    for (const ConfigNode& table : tables) {
      position_ = static_cast<uint32_t>(services.size());
      services.push_back(read_service(table));
    }
    owners_.report_vips_among_backends();
    if (first_beyond_limit_) {
      first_beyond_limit_->error("is one backend too many: there are " +
                                 std::to_string(owners_.backend_count()) +
                                 " sockets in all, expected at most " + std::to_string(kMaxBackends));
    }
    return services;
  }

  const FirstLines& names() const { return names_; }

 private:
  ServiceConfig read_service(const ConfigNode& table) {
    table.allow_only({"name", "vip", "protocol", "blue", "green", "active", "affinity", "drain"});
    ServiceConfig service;
    service.name = read_name(table, "service", names_);
    std::optional<uint8_t> protocol;
    if (const auto node = table.require("protocol", "\"tcp\" or \"udp\"")) {
      protocol = node->choice<uint8_t>({{"tcp", kProtocolTcp}, {"udp", kProtocolUdp}});
    }
    std::optional<Socket> vip;
    if (const auto node = table.require("vip", kSocketForm)) {
      vip = read_socket(*node);
      if (vip) service.vip = *vip;
      service.vip.protocol = protocol.value_or(0);
      // Without a protocol, a socket cannot be held against others.
      if (vip && protocol) owners_.claim_vip(*node, service.vip, position_, service.name);
    }
    for (uint32_t colour = 0; colour < kColours; ++colour) {
      if (const auto node = table.require(kColourNames[colour], kPoolForm)) {
        service.pools[colour] = read_pool(*node, service, vip.has_value());
      }
    }
    if (const auto node = table.find("active")) {
      service.active =
          node->choice<Colour>({{"blue", Colour::kBlue}, {"green", Colour::kGreen}}).value_or(Colour::kBlue);
    }
    if (const auto node = table.find("affinity")) {
      service.affinity_client = node->choice<bool>({{"flow", false}, {"client", true}}).value_or(false);
    }
    if (const auto node = table.find("drain")) read_drain(*node, service);
    return service;
  }

  std::vector<BackendConfig> read_pool(const ConfigNode& pool, const ServiceConfig& service, bool vip_known) {
    const auto elements = pool.elements(kPoolForm);
    if (!elements) return {};
    if (elements->empty()) pool.error("is empty, expected at least one backend");
    std::vector<BackendConfig> backends;
    backends.reserve(elements->size());
    std::unordered_map<std::string, std::string> first_fields;
    bool takes_new_flows = false;
    for (const ConfigNode& element : *elements) {
      BackendConfig backend;
      std::optional<Socket> socket;
      if (element.is_table()) {
        element.allow_only({"address", "weight"});
        if (const auto node = element.require("address", kSocketForm)) socket = read_socket(*node);
        if (const auto node = element.find("weight")) {
          // A refused weight was told; counting it as 1 keeps "all weights are 0" from being told for it.
          backend.weight = static_cast<uint32_t>(node->integer(0, kMostWeight).value_or(1));
        }
      } else if (element.is_text()) {
        socket = read_socket(element);
      } else {
        element.expect_table(std::string(kSocketForm) + ", or { address = \"...\", weight = 2 }");
      }
      takes_new_flows = takes_new_flows || backend.weight > 0;
      if (!socket) continue;
      backend.socket = *socket;
      backend.socket.protocol = service.vip.protocol;
      const auto [first, is_new] = first_fields.emplace(to_string(*socket), element.field());
      if (!is_new) {
        element.error(in_quotes(first->first) + " is also " + first->second +
                      ", expected each socket once in a pool");
      }
      check_backend(element, backend.socket, service, vip_known);
      backends.push_back(backend);
    }
    if (!elements->empty() && !takes_new_flows) {
      pool.error("has only weights of 0, expected at least one backend that takes new flows");
    }
    return backends;
  }

  void check_backend(const ConfigNode& node, const Socket& socket, const ServiceConfig& service,
                     bool vip_known) {
    if (vip_known && socket.address.is_v4() != service.vip.address.is_v4()) {
      const auto family = [](const Socket& of) { return std::string(of.address.is_v4() ? "IPv4" : "IPv6"); };
      node.error(in_quotes(to_string(socket)) + " is " + family(socket) + " but the VIP " +
                 in_quotes(to_string(service.vip)) + " is " + family(service.vip) +
                 ", expected one address family in a service");
    }
    if (socket.protocol == 0) return;  // told already
    owners_.claim_backend(node, socket, position_, service.name);
    if (!first_beyond_limit_ && owners_.backend_count() > kMaxBackends) first_beyond_limit_ = node;
  }

  static void read_drain(const ConfigNode& table, ServiceConfig& service) {
    if (!table.expect_table("a table such as { timeout = \"5m\", then = \"wait\" }")) return;
    table.allow_only({"timeout", "then"});
    if (const auto node = table.find("timeout")) {
      service.drain_timeout = node->duration(kLeastTimeout, kMostTimeout).value_or(service.drain_timeout);
    }
    if (const auto node = table.find("then")) {
      const auto then = node->text("\"wait\"");
      if (then && *then == "reset") {
        node->error("\"reset\" is not supported yet, expected \"wait\"");
      } else if (then && *then != "wait") {
        node->error("is " + in_quotes(*then) + ", expected \"wait\"");
      }
    }
  }

  FirstLines names_;
  SocketOwners owners_;
  uint32_t position_ = 0;
  std::optional<ConfigNode> first_beyond_limit_;
};

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
    if (const auto duration = node->duration(kLeastTimeout, kMostTimeout)) {
      timeouts.*field.ticks = to_ticks(*duration);
    }
  }
  table->allow_only(names);
  return timeouts;
}

GroupConfig read_group(const ConfigNode& table, const FirstLines& services, FirstLines& names) {
  constexpr char kMembersForm[] = "an array of names of services";
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
      const auto meant = closest(*name, known);
      element.error(
          "there is no service " + in_quotes(*name) + ", " +
          (meant ? "did you mean " + in_quotes(*meant) + "?" : "expected the name of a [[service]]"));
    } else if (!seen.insert(*name).second) {
      element.error(in_quotes(*name) + " is in the group already, expected each service once");
    }
    group.services.push_back(*name);
  }
  return group;
}

tl::expected<Config, ConfigErrors> config_of(const tl::expected<ConfigDocument, ConfigErrors>& document,
                                             const std::string& path) {
  if (!document) return tl::unexpected(document.error());
  const ConfigNode root = document->root();
  root.allow_only({"dataplane", "port", "timeouts", "service", "group"});
  Config config;
  config.path = path;
  config.timeouts = read_timeouts(root);
  ServiceReader reader;
  config.services = reader.read(root);
  // Groups and services are named in different places (`--group G`), so one of each may have the same name.
  FirstLines group_names;
  for (const ConfigNode& table : root.tables("group")) {
    config.groups.push_back(read_group(table, reader.names(), group_names));
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
