// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_service.h"

#include <optional>
#include <string>
#include <unordered_map>

#include "control/config/config_check.h"
#include "control/config/config_drain.h"
#include "control/config/config_rollout.h"
#include "control/config/config_socket.h"

namespace teal {

namespace {

constexpr char kPoolForm[] = "an array of backends such as [\"198.18.2.11:8080\"]";

class ServiceReader {
 public:
  ServiceReader(const ServiceDefaults& defaults, FirstLines& names) : defaults_(defaults), names_(names) {}

  std::vector<ServiceConfig> read(const ConfigNode& root) {
    const auto tables = root.require_tables("service", "at least one [[service]]");
    if (tables.size() > kMaxServices) {
      tables[kMaxServices].error("is one service too many: the file has " + std::to_string(tables.size()) +
                                 ", expected at most " + std::to_string(kMaxServices));
    }
    std::vector<ServiceConfig> services;
    services.reserve(tables.size());
    for (const ConfigNode& table : tables) {
      position_ = static_cast<uint32_t>(services.size());
      services.push_back(read_service(table));
    }
    owners_.report_vips_among_backends();
    if (first_address_beyond_limit_) {
      first_address_beyond_limit_->error(
          "is one address too many: the file has " + std::to_string(owners_.address_count()) +
          " VIPs and preview addresses, expected at most " + std::to_string(kMaxServices));
    }
    if (first_beyond_limit_) {
      first_beyond_limit_->error("is one backend too many: the file has " +
                                 std::to_string(owners_.backend_count()) +
                                 " sockets in all, expected at most " + std::to_string(kMaxBackends));
    }
    return services;
  }

 private:
  ServiceConfig read_service(const ConfigNode& table) {
    std::vector<std::string_view> keys = {"name",   "vip",      "protocol", "blue",    "green",
                                          "active", "affinity", "drain",    "rollout", "preview"};
    keys.insert(keys.end(), std::begin(kHealthKeys), std::end(kHealthKeys));
    table.allow_only(keys);
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
      // A socket without a protocol cannot be compared with other sockets.
      if (vip && protocol) owners_.claim_vip(*node, service.vip, position_, service.name);
    }
    if (const auto node = table.find("preview")) read_preview(*node, service, vip.has_value());
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
    service.drain = defaults_.drain;
    if (const auto node = table.find("drain")) read_service_drain(*node, service.drain);
    service.rules = defaults_.rules;
    if (const auto node = table.find("rollout")) service.rollout = read_rollout(*node, service.rules);
    service.check = read_check(table);
    service.health = read_health_rules(table);
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
          // A refused weight counts as 1: otherwise the same mistake would also be reported as "only weights
          // of 0".
          backend.weight = static_cast<uint32_t>(node->integer(0, kMaxWeight).value_or(1));
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

  void read_preview(const ConfigNode& node, ServiceConfig& service, bool vip_known) {
    service.preview = read_socket(node);
    if (!service.preview) return;
    service.preview->protocol = service.vip.protocol;
    check_family(node, *service.preview, service, vip_known);
    if (service.vip.protocol == 0) return;  // reported by read_service()
    owners_.claim_preview(node, *service.preview, position_, service.name);
    if (!first_address_beyond_limit_ && owners_.address_count() > kMaxServices)
      first_address_beyond_limit_ = node;
  }

  static void check_family(const ConfigNode& node, const Socket& socket, const ServiceConfig& service,
                           bool vip_known) {
    if (!vip_known || socket.address.is_v4() == service.vip.address.is_v4()) return;
    const auto family = [](const Socket& of) { return std::string(of.address.is_v4() ? "IPv4" : "IPv6"); };
    node.error(in_quotes(to_string(socket)) + " is " + family(socket) + " but the VIP " +
               in_quotes(to_string(service.vip)) + " is " + family(service.vip) +
               ", expected one address family in a service");
  }

  void check_backend(const ConfigNode& node, const Socket& socket, const ServiceConfig& service,
                     bool vip_known) {
    check_family(node, socket, service, vip_known);
    if (socket.protocol == 0) return;  // reported by read_service()
    owners_.claim_backend(node, socket, position_, service.name);
    if (!first_beyond_limit_ && owners_.backend_count() > kMaxBackends) first_beyond_limit_ = node;
  }

  const ServiceDefaults& defaults_;
  FirstLines& names_;
  SocketOwners owners_;
  uint32_t position_ = 0;
  std::optional<ConfigNode> first_beyond_limit_, first_address_beyond_limit_;
};

}  // namespace

std::vector<ServiceConfig> read_services(const ConfigNode& root, const ServiceDefaults& defaults,
                                         FirstLines& names) {
  return ServiceReader(defaults, names).read(root);
}

}  // namespace teal
