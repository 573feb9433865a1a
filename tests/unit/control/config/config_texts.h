// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "control/config/config.h"

namespace teal {

inline constexpr char kPath[] = "teal.toml";

// The line numbers that the tests expect are lines of this text.
inline constexpr char kBase[] = R"([[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", { address = "198.18.2.12:8080", weight = 2 }]
green = ["198.18.2.21:8080"]
active = "blue"
affinity = "flow"
drain = { timeout = "5m", then = "wait" }

[[service]]
name = "service-b"
vip = "[fd18:0::10]:80"
protocol = "udp"
blue = ["[fd18:2::11]:8080"]
green = ["[fd18:2::21]:8080"]

[[group]]
name = "shop"
services = ["service-a"]

[timeouts]
embryonic = "30s"
)";

// A whole file. parse_config() accepts the tables of the dataplane without reading them.
inline constexpr char kSample[] = R"([dataplane]
workers = 1
cpus = [1]
flow_capacity = 1_000_000
idle = "adaptive"
hash_seed = 42
memory_mb = 256

[[port]]
name = "front"
device = "af_xdp:eth1"
side = "client"

[timeouts]
embryonic = "30s"
tcp_established = "2h4m"
tcp_half_closed = "5m"
tcp_closed = "10s"
udp_established = "60s"

[drain]
timeout = "10m"
then = "reset"
udp = "cut"
reset_rate = 500

[api]
control = { owner = "root", group = "root", mode = "0600" }
status = { owner = 1000, mode = "0644" }
listen = "127.0.0.1:9100"

[[service]]
name = "service-a"
vip = "198.18.0.10:80"
protocol = "tcp"
blue = ["198.18.2.11:8080", { address = "198.18.2.12:8080", weight = 2 }]
green = ["198.18.2.21:8080"]
active = "blue"
affinity = "flow"
drain = { timeout = "5m", then = "wait" }

[[service]]
name = "service-b"
vip = "[fd18:0::10]:80"
protocol = "udp"
blue = ["[fd18:2::11]:5300"]
green = ["[fd18:2::11]:5300", { address = "[fd18:2::21]:5300", weight = 0 }]
active = "green"
affinity = "client"
drain = { timeout = "1500ms" }

[[group]]
name = "shop"
services = ["service-a", "service-b"]
)";

inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << "the base has no " << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

inline ConfigErrors errors_of(const std::string& text) {
  const auto config = parse_config(text, kPath);
  return config ? ConfigErrors{} : config.error();
}

// One error a line.
inline std::string joined(const ConfigErrors& errors) {
  std::string text;
  for (const auto& error : errors) text += error + "\n";
  return text;
}

}  // namespace teal
