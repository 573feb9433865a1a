// SPDX-License-Identifier: Apache-2.0
//
// Reads the sockets of a config file and compares them with each other. A worker must know from an address,
// port and protocol alone which service a packet belongs to, so:
//   - A VIP belongs to one service.
//   - A backend socket belongs to one service, in one colour or both. A reply's source names the service.
//   - No socket is both a VIP and a backend.
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

// Reads a socket with a unicast address that other hosts can reach. Otherwise returns nullopt and reports an
// error at `node`. The protocol of the result is 0.
std::optional<Socket> read_socket(const ConfigNode& node);

// Reads a socket with a loopback address: 127.0.0.0/8 or ::1. Errors as in read_socket().
std::optional<Socket> read_loopback_socket(const ConfigNode& node);

// Remembers which service uses which socket.
class SocketOwners {
 public:
  // Both report an error at `node` if another service has claimed the same socket with the same call.
  // `service` is the service's position in the file; errors call the service `name`.
  void claim_vip(const ConfigNode& node, const Socket& vip, uint32_t service, std::string_view name);
  void claim_backend(const ConfigNode& node, const Socket& socket, uint32_t service, std::string_view name);

  // Reports every backend that is also a VIP. Call it after the last claim: a VIP may follow a backend in the
  // file.
  void report_vips_among_backends() const;

  size_t backend_count() const { return backends_.size(); }  // counts each socket once

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
