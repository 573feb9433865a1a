// SPDX-License-Identifier: Apache-2.0
//
// Reads the sockets of a config file and compares them with each other. A worker must know from an address,
// port and protocol alone which service a packet belongs to, so:
//   - A VIP or preview address belongs to one service. A preview address is not the VIP.
//   - A backend socket belongs to one service, in one colour or both. A reply's source names the service.
//   - No such address is also a backend.
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
  // Each reports an error at `node` if the socket is taken. `service` is the service's position in the file;
  // errors call the service `name`.
  void claim_vip(const ConfigNode& node, const Socket& vip, uint32_t service, std::string_view name);
  void claim_preview(const ConfigNode& node, const Socket& preview, uint32_t service, std::string_view name);
  void claim_backend(const ConfigNode& node, const Socket& socket, uint32_t service, std::string_view name);

  // Reports every backend that is also a VIP or preview address. Call it after the last claim: a VIP may
  // follow a backend in the file.
  void report_vips_among_backends() const;

  size_t backend_count() const { return backends_.size(); }  // counts each socket once
  size_t address_count() const { return vips_.size(); }      // VIPs and preview addresses

 private:
  struct Claim {
    ConfigNode node;
    const char* what;  // "VIP" or "preview address"
    uint32_t service;
    std::string name;
  };
  struct Hash {
    size_t operator()(const Socket& socket) const { return socket_hash(socket); }
  };
  using Claims = std::unordered_map<Socket, Claim, Hash>;

  void claim_address(const ConfigNode& node, const char* what, const Socket& socket, uint32_t service,
                     std::string_view name);

  Claims vips_;  // and preview addresses
  Claims backends_;
};

}  // namespace teal
