// SPDX-License-Identifier: Apache-2.0
//
// The sockets of a config file: read, and held against each other. Every (address, port, protocol) has one
// meaning to a worker, so
//   - a VIP belongs to one service;
//   - a backend socket belongs to one service (both colours of it, if need be): a reply from it names the
//   service;
//   - no socket is a VIP and a backend.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "dataplane/config/config_reader.h"
#include "dataplane/packet/flow_key.h"
#include "dataplane/packet/ip_address.h"

namespace teal {

inline constexpr char kSocketForm[] = "an address and port such as \"198.18.0.10:80\" or \"[fd18::10]:80\"";

// Nothing, and an error at `node`, if it is no socket or not one that traffic can go to. The protocol stays
// 0.
std::optional<Socket> read_socket(const ConfigNode& node);

// The same for one of 127.0.0.0/8 or ::1 alone.
std::optional<Socket> read_loopback_socket(const ConfigNode& node);

class SocketOwners {
 public:
  // Each reports at `node` what an earlier call of it forbids. `service` is the position in the file, `name`
  // what errors call it.
  void claim_vip(const ConfigNode& node, const Socket& vip, uint32_t service, std::string_view name);
  void claim_backend(const ConfigNode& node, const Socket& socket, uint32_t service, std::string_view name);

  // Reports every claimed backend that is also a VIP; after the last claim, as either may come first in the
  // file.
  void report_vips_among_backends() const;

  size_t backend_count() const { return backends_.size(); }  // different sockets

 private:
  struct Claim {
    ConfigNode node;
    uint32_t service;
    std::string name;
  };
  struct Hash {
    size_t operator()(const Socket& socket) const { return socket_hash(socket); }
  };
  using Claims = std::unordered_map<Socket, Claim, Hash>;

  Claims vips_, backends_;
};

}  // namespace teal
