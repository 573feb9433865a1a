// SPDX-License-Identifier: Apache-2.0
//
// What the kernel knows of the way to the backends and of this host's addresses, by rtnetlink. The kernel
// routes and resolves; teald copies the answer into the segment (next hops) and the steering maps (local
// addresses), and follows each change.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/rewrite.h"

namespace boost::asio {
class io_context;
}

namespace teal {

// The way to an address, as far as the kernel knows it now.
struct Route {
  uint32_t ifindex = 0;
  IpAddress gateway_or_self;      // the neighbour to send to
  std::optional<MacAddress> mac;  // nothing: the neighbour is not resolved (yet)
  uint8_t on_link_prefix_bits =
      0;  // of the connected prefix, in the mapped form (IPv4: 96 + length); 0: behind a gateway
};

class KernelRoutes {
 public:
  // `changed` is called on the io_context after a route, neighbour, address or link changed (bursts are
  // merged: at most every 20 ms).
  static tl::expected<std::unique_ptr<KernelRoutes>, std::string> open(boost::asio::io_context& io,
                                                                       std::function<void()> changed);
  ~KernelRoutes();

  // A fresh answer from the kernel. Nothing: no route. Where the neighbour is not resolved, or is stale, the
  // kernel is asked to resolve and to keep it (NTF_EXT_MANAGED, kernel 5.16; where it refuses that, the
  // neighbour is set to NUD_PROBE now and again by refresh()).
  std::optional<Route> lookup(const IpAddress& destination);

  // The default route of a family, if it leaves by one of the interfaces.
  std::optional<Route> default_route(bool v4, std::span<const uint32_t> ifindexes);

  // All addresses of this network namespace's interfaces.
  std::vector<IpAddress> local_addresses();

  // Call every few seconds.
  void refresh();

 private:
  struct Impl;
  explicit KernelRoutes(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace teal
