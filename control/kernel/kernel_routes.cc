// SPDX-License-Identifier: Apache-2.0
//
// One netlink socket is for requests, another one for the kernel's notifications. A notification only decides
// whether to call `changed`; every answer comes from a new request. Neighbours become stale and are confirmed
// all the time, and a router's table changes many times a second. So `changed` is called only if the MAC
// address of a known neighbour differs or a changed prefix contains a known destination.
#include "control/kernel/kernel_routes.h"

#include <utility>  // Asio (Boost 1.74) uses it without including it in C++20

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/route/route.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "control/kernel/neighbour.h"
#include "control/kernel/netlink_ptr.h"
#include "control/kernel/route_query.h"
#include "control/loop/clock.h"
#include "dataplane/packet/flow_key.h"

namespace teal {
namespace {

constexpr int kNotificationBufferBytes = 1 << 20;
constexpr int kReadsPerTurn = 256;  // then other tasks of the event loop run

std::string failure(const char* what, int libnl_error) {
  return std::string("rtnetlink: ") + what + ": " + nl_geterror(libnl_error);
}

}  // namespace

struct KernelRoutes::Impl {
  Impl(boost::asio::io_context& io, const Clock& with_clock, std::function<void()> on_changed)
      : clock(with_clock), changed(std::move(on_changed)), descriptor(io) {}
  ~Impl() {
    if (descriptor.is_open()) descriptor.release();  // libnl closes it
  }

  tl::expected<void, std::string> open();
  Route with_neighbour(const Way& way);
  void keep(const NeighbourKey& key, const Neighbour& present);
  void wait_for_notification();
  void read_notifications();
  bool matters(nl_msg* message);
  void compare_with_list(const NeighbourKey& key, const std::optional<MacAddress>& mac);
  void tell_soon();

  const Clock& clock;
  std::function<void()> changed;
  NetlinkSocketPtr requests;
  NetlinkSocketPtr notifications;
  boost::asio::posix::stream_descriptor descriptor;  // of `notifications`
  bool telling = false;                              // changed() will be called after kMergeTime
  bool something_changed = false;                    // as matters() found
  // Destinations and neighbours of the answers so far. They are never removed: destinations are backends of
  // the config, and a stale one only costs a needless call of `changed`.
  std::unordered_set<IpAddress, AddressHash> destinations;
  std::unordered_map<NeighbourKey, std::optional<MacAddress>, NeighbourKeyHash> neighbours;
  // The latest result of neighbours().
  std::unordered_map<NeighbourKey, MacAddress, NeighbourKeyHash> listed;
  std::vector<uint32_t> listed_ifindexes;
  bool list_is_old = true;
  uint64_t routes_version = 1;
  std::optional<bool> kernel_manages;  // NTF_EXT_MANAGED works; unknown until the first try
  // Handlers hold a weak pointer: a queued handler may outlive this object.
  std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
};

tl::expected<void, std::string> KernelRoutes::Impl::open() {
  requests.reset(nl_socket_alloc());
  notifications.reset(nl_socket_alloc());
  if (requests == nullptr || notifications == nullptr)
    return tl::unexpected(std::string("rtnetlink: out of memory for a socket"));
  if (const int error = nl_connect(requests.get(), NETLINK_ROUTE); error < 0) {
    return tl::unexpected(failure("cannot open the socket for requests", error));
  }
  nl_sock* const socket = notifications.get();
  nl_socket_disable_seq_check(socket);
  const auto on_message = [](nl_msg* message, void* context) {
    auto& impl = *static_cast<Impl*>(context);
    impl.something_changed |= impl.matters(message);
    return static_cast<int>(NL_OK);
  };
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_message, this);
  if (const int error = nl_connect(socket, NETLINK_ROUTE); error < 0) {
    return tl::unexpected(failure("cannot open the socket for notifications", error));
  }
  if (const int error = nl_socket_add_memberships(socket, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
                                                  RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                                  RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, 0);
      error < 0) {
    return tl::unexpected(failure("cannot subscribe to links, neighbours, addresses and routes", error));
  }
  nl_socket_add_membership(socket, RTNLGRP_NEXTHOP);  // an older kernel than 5.3 has no such group: ignored
  // Without CAP_NET_ADMIN the size is limited to net.core.rmem_max. A smaller buffer is enough, as overruns
  // are noticed.
  nl_socket_set_buffer_size(socket, kNotificationBufferBytes, 0);
  if (const int error = nl_socket_set_nonblocking(socket); error < 0) {
    return tl::unexpected(failure("cannot make the socket for notifications non-blocking", error));
  }
  boost::system::error_code error;
  descriptor.assign(nl_socket_get_fd(socket), error);
  if (error)
    return tl::unexpected("rtnetlink: cannot wait on the socket for notifications: " + error.message());
  wait_for_notification();
  return {};
}

Route KernelRoutes::Impl::with_neighbour(const Way& way) {
  const auto present = get_neighbour(requests.get(), way.neighbour);
  neighbours[way.neighbour] = present.mac;
  keep(way.neighbour, present);
  return {.ifindex = way.neighbour.ifindex, .gateway_or_self = way.neighbour.address, .mac = present.mac};
}

void KernelRoutes::Impl::keep(const NeighbourKey& key, const Neighbour& present) {
  if (is_fixed(present) || present.managed) return;
  if (kernel_manages.value_or(true)) {
    const int error = request_neighbour(requests.get(), key, present, NeighbourRequest::kManaged);
    if (kernel_manages) return;
    // A kernel that does not know the flag ignores it without an error. An error has other causes: the
    // interface is gone, or the table is full.
    if (error == 0) kernel_manages = get_neighbour(requests.get(), key).managed;
    if (kernel_manages.value_or(true)) return;
  }
  const bool stale = (present.state & NUD_STALE) != 0;
  if (present.mac && !stale) return;
  request_neighbour(requests.get(), key, present, stale ? NeighbourRequest::kProbe : NeighbourRequest::kUse);
}

void KernelRoutes::Impl::wait_for_notification() {
  descriptor.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [weak = std::weak_ptr(self)](const boost::system::error_code& error) {
                          const auto alive = weak.lock();
                          if (error || alive == nullptr) return;
                          (*alive)->read_notifications();
                          (*alive)->wait_for_notification();
                        });
}

void KernelRoutes::Impl::read_notifications() {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const int error = nl_recvmsgs_default(notifications.get());
    if (error == -NLE_AGAIN) break;
    // Usually an overrun (ENOBUFS): notifications were lost, so everything may have changed.
    if (error < 0) {
      something_changed = list_is_old = true;
      ++routes_version;
    }
  }
  if (std::exchange(something_changed, false)) tell_soon();
}

bool KernelRoutes::Impl::matters(nl_msg* message) {
  nlmsghdr* const header = nlmsg_hdr(message);
  if (header->nlmsg_type != RTM_NEWNEIGH && header->nlmsg_type != RTM_DELNEIGH) ++routes_version;
  switch (header->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      rtnl_neigh* raw = nullptr;
      if (rtnl_neigh_parse(header, &raw) < 0) return true;
      const NeighbourPtr neighbour(raw);
      const auto address = to_ip_address(rtnl_neigh_get_dst(raw));
      if (!address) return false;  // a bridge's forwarding entry
      const NeighbourKey key = {static_cast<uint32_t>(rtnl_neigh_get_ifindex(raw)), *address};
      const auto mac = header->nlmsg_type == RTM_DELNEIGH ? std::nullopt : usable_mac(raw);
      compare_with_list(key, mac);
      const auto told = neighbours.find(key);
      return told != neighbours.end() && told->second != mac;
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      rtnl_route* raw = nullptr;
      if (rtnl_route_parse(header, &raw) < 0) return true;
      const RoutePtr route(raw);
      const nl_addr* const prefix = rtnl_route_get_dst(raw);
      if (prefix == nullptr || nl_addr_get_prefixlen(prefix) == 0) return true;  // a default route
      const auto network = to_ip_address(prefix);
      if (!network) return false;  // multicast, MPLS
      const unsigned bits = nl_addr_get_prefixlen(prefix) + (network->is_v4() ? 96 : 0);
      return std::any_of(destinations.begin(), destinations.end(), [&](const IpAddress& destination) {
        return same_prefix(destination, *network, bits);
      });
    }
    default:
      return true;  // links, addresses, rules, next-hop objects: rare, and each can change any route
  }
}

void KernelRoutes::Impl::compare_with_list(const NeighbourKey& key, const std::optional<MacAddress>& mac) {
  if (std::find(listed_ifindexes.begin(), listed_ifindexes.end(), key.ifindex) == listed_ifindexes.end())
    return;
  const auto entry = listed.find(key);
  list_is_old |= mac != (entry == listed.end() ? std::nullopt : std::optional(entry->second));
}

void KernelRoutes::Impl::tell_soon() {
  if (std::exchange(telling, true)) return;
  const auto tell = [](const Clock& with_clock, std::weak_ptr<Impl*> weak) -> Task<void> {
    co_await with_clock.sleep(kMergeTime);
    const auto alive = weak.lock();
    if (alive == nullptr) co_return;
    (*alive)->telling = false;
    const auto call = (*alive)->changed;  // a copy: the callee may destroy the KernelRoutes
    call();
  };
  boost::asio::co_spawn(descriptor.get_executor(), tell(clock, self), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

KernelRoutes::KernelRoutes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KernelRoutes::~KernelRoutes() = default;

tl::expected<std::unique_ptr<KernelRoutes>, std::string> KernelRoutes::open(boost::asio::io_context& io,
                                                                            const Clock& clock,
                                                                            std::function<void()> changed) {
  auto impl = std::make_unique<Impl>(io, clock, std::move(changed));
  if (auto opened = impl->open(); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<KernelRoutes>(new KernelRoutes(std::move(impl)));
}

std::optional<Route> KernelRoutes::lookup(const IpAddress& destination) {
  impl_->destinations.insert(destination);
  nl_sock* const socket = impl_->requests.get();
  const auto way = find_way(socket, destination);
  if (!way) return std::nullopt;
  Route route = impl_->with_neighbour(*way);
  route.on_link_prefix_bits = on_link_bits(socket, *way);
  return route;
}

std::optional<Route> KernelRoutes::default_route(bool v4, std::span<const uint32_t> ifindexes) {
  const auto way = find_default_way(impl_->requests.get(), v4, ifindexes);
  if (!way) return std::nullopt;
  return impl_->with_neighbour(*way);
}

std::optional<NeighbourKey> KernelRoutes::gateway_to(const IpAddress& client) {
  const auto way = find_way(impl_->requests.get(), client);
  if (!way || !way->through_gateway) return std::nullopt;
  return way->neighbour;
}

void KernelRoutes::keep_resolved(const NeighbourKey& gateway) {
  const auto present = get_neighbour(impl_->requests.get(), gateway);
  // Not over what lookup() has told: `changed` must still be called for a change since then.
  impl_->neighbours.try_emplace(gateway, present.mac);
  impl_->keep(gateway, present);
}

uint64_t KernelRoutes::routes_version() const {
  return impl_->routes_version;
}

std::vector<ResolvedNeighbour> KernelRoutes::neighbours(std::span<const uint32_t> ifindexes) {
  std::vector<ResolvedNeighbour> result = resolved_neighbours(impl_->requests.get(), ifindexes);
  impl_->listed.clear();
  for (const auto& [key, mac] : result) impl_->listed.emplace(key, mac);
  impl_->listed_ifindexes.assign(ifindexes.begin(), ifindexes.end());
  impl_->list_is_old = false;
  return result;
}

bool KernelRoutes::neighbours_changed() const {
  return impl_->list_is_old;
}

std::vector<IpAddress> KernelRoutes::local_addresses() {
  std::vector<IpAddress> result;
  for (const auto& address : interface_addresses(impl_->requests.get())) result.push_back(address.address);
  return result;
}

void KernelRoutes::refresh() {
  const bool by_kernel = impl_->kernel_manages.value_or(true);
  for (const auto& [key, mac] : impl_->neighbours) {
    // The kernel maintains managed entries. But unresolved entries may have vanished with their link, so they
    // are asked for again.
    if (by_kernel && mac) continue;
    impl_->keep(key, get_neighbour(impl_->requests.get(), key));
  }
}

}  // namespace teal
