// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "control/config/config.h"

namespace teal {

inline Socket tcp(const std::string& text) {
  Socket socket = parse_socket(text).value();
  socket.protocol = kProtocolTcp;
  return socket;
}

inline std::vector<BackendConfig> pool(std::initializer_list<const char*> sockets) {
  std::vector<BackendConfig> pool;
  for (const char* socket : sockets) pool.push_back({tcp(socket), 1});
  return pool;
}

inline ServiceConfig service_config(const std::string& name, const std::string& vip,
                                    std::vector<BackendConfig> blue, std::vector<BackendConfig> green) {
  ServiceConfig service;
  service.name = name;
  service.vip = tcp(vip);
  service.pools = {std::move(blue), std::move(green)};
  return service;
}

// Backends in blue + green: service-a 2 + 1, service-b 1 + 1, service-c 1 + 1 (the green one has weight 2).
// The group "shop" has service-a and service-b.
inline Config shop_config() {
  Config config;
  config.path = "teal.toml";
  config.timeouts = {3000, 744000, 30000, 1000, 6000};
  config.services = {
      service_config("service-a", "198.18.0.10:80", pool({"198.18.2.11:8080", "198.18.2.12:8080"}),
                     pool({"198.18.2.21:8080"})),
      service_config("service-b", "[fd18::10]:80", pool({"[fd18:2::11]:8080"}), pool({"[fd18:2::21]:8080"})),
      service_config("service-c", "198.18.0.11:80", pool({"198.18.2.13:8080"}),
                     {{tcp("198.18.2.23:8080"), 2}})};
  config.groups = {{"shop", {"service-a", "service-b"}}};
  return config;
}

inline constexpr const char* kShopToml = R"([dataplane]
workers = 1

[[port]]
name = "front"
device = "af_packet:none0"
side = "both"

[[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", "198.18.2.12:8080"]
green = ["198.18.2.21:8080"]

[[service]]
name = "service-b"
vip = "[fd18:0::10]:80"
protocol = "tcp"
blue = ["[fd18:2::11]:8080"]
green = ["[fd18:2::21]:8080"]
drain = { timeout = "1m", then = "wait" }

[[service]]
name = "service-c"
vip = "198.18.0.11:80"
protocol = "tcp"
blue = ["198.18.2.13:8080"]
green = [{ address = "198.18.2.23:8080", weight = 2 }]

[[group]]
name = "shop"
services = ["service-a", "service-b"]

[rollout]
on_few = "go"
min_capacity = "50%"
)";

// The same with `count` more services, at most 200: s0, s1, ... Each has a backend of each colour.
inline std::string shop_with_more_services(int count) {
  std::string toml = kShopToml;
  for (int n = 0; n < count; ++n)
    toml += fmt::format(
        "\n[[service]]\nname = \"s{0}\"\nvip = \"198.18.3.{0}:80\"\nprotocol = \"tcp\"\n"
        "blue = [\"198.18.2.31:{1}\"]\ngreen = [\"198.18.2.32:{1}\"]\n",
        n, 8000 + n);
  return toml;
}

}  // namespace teal
