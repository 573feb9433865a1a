// SPDX-License-Identifier: Apache-2.0
//
// Routes and addresses of the real kernel. The header shows the topology.
#include <algorithm>

#include "tests/unit/control/kernel/kernel_routes_fixture.h"

namespace teal {
namespace {

TEST_F(KernelRoutesTest, ResolvesABackendOnTheLink) {
  const auto first = routes_->lookup(address("198.18.2.11"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->ifindex, front_);
  EXPECT_EQ(first->gateway_or_self, address("198.18.2.11"));
  EXPECT_EQ(first->on_link_prefix_bits, 96 + 24);
  EXPECT_FALSE(first->mac) << "the kernel has not been asked to resolve it yet";
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.11") == mac(0x11); }));
}

TEST_F(KernelRoutesTest, ResolvesAnIpv6BackendOnTheLink) {
  const auto first = routes_->lookup(address("fd18:2::11"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->ifindex, front_);
  EXPECT_EQ(first->gateway_or_self, address("fd18:2::11"));
  EXPECT_EQ(first->on_link_prefix_bits, 64);
  EXPECT_TRUE(changes_until([&] { return mac_of("fd18:2::11") == mac(0x11); }));
}

TEST_F(KernelRoutesTest, ResolvesABackendBehindAGateway) {
  shell("ip route add 198.18.50.0/24 via 198.18.2.11 && ip -6 route add fd18:50::/64 via fd18:2::11");
  for (const auto& [backend, gateway] :
       {std::pair("198.18.50.7", "198.18.2.11"), std::pair("fd18:50::7", "fd18:2::11")}) {
    const auto route = routes_->lookup(address(backend));
    ASSERT_TRUE(route) << backend;
    EXPECT_EQ(route->gateway_or_self, address(gateway));
    EXPECT_EQ(route->on_link_prefix_bits, 0);
  }
  EXPECT_TRUE(
      changes_until([&] { return mac_of("198.18.50.7") == mac(0x11) && mac_of("fd18:50::7") == mac(0x11); }));
}

TEST_F(KernelRoutesTest, ResolvesAnIpv4BackendBehindAnIpv6Gateway) {
  shell("ip route add 198.18.50.0/24 via inet6 fd18:2::11 dev front0");
  const auto route = routes_->lookup(address("198.18.50.7"));
  ASSERT_TRUE(route);
  EXPECT_EQ(route->gateway_or_self, address("fd18:2::11"));
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.50.7") == mac(0x11); }));
}

TEST_F(KernelRoutesTest, FindsNoRouteWithoutAUnicastRoute) {
  EXPECT_FALSE(routes_->lookup(address("198.19.0.1")));
  EXPECT_FALSE(routes_->lookup(address("fd18:ffff::1")));
  EXPECT_FALSE(routes_->lookup(address("198.18.2.1"))) << "an address of this host";
  shell(
      "ip route add blackhole 198.19.0.0/24 && ip route add unreachable 198.19.1.0/24 && ip -6 route add "
      "blackhole fd18:9::/64");
  EXPECT_FALSE(routes_->lookup(address("198.19.0.1")));
  EXPECT_FALSE(routes_->lookup(address("198.19.1.1")));
  EXPECT_FALSE(routes_->lookup(address("fd18:9::1")));
}

TEST_F(KernelRoutesTest, ReportsThatARouteComesAndGoes) {
  EXPECT_FALSE(routes_->lookup(address("198.18.50.7")));
  shell("ip route add 198.18.48.0/20 via 198.18.2.11");
  EXPECT_TRUE(changes_until([&] { return routes_->lookup(address("198.18.50.7")).has_value(); }));
  shell("ip route del 198.18.48.0/20");
  EXPECT_TRUE(changes_until([&] { return !routes_->lookup(address("198.18.50.7")); }));
  shell("ip route add default via 198.18.2.11");
  EXPECT_TRUE(changes_until([&] { return routes_->lookup(address("198.18.50.7")).has_value(); }));
  shell("ip link set front0 down");
  EXPECT_TRUE(changes_until([&] { return !routes_->lookup(address("198.18.50.7")); }));
}

TEST_F(KernelRoutesTest, ReportsNoChangeOfUnknownNeighboursAndPrefixes) {
  mac_of("198.18.2.99");
  handle_changes();
  const int before = changes_;
  shell("ip neigh replace 198.18.2.77 lladdr 02:00:00:00:00:77 dev front0 nud reachable");
  shell("ip route add 198.18.48.0/20 via 198.18.2.77");
  handle_changes();
  EXPECT_EQ(changes_, before);
}

TEST_F(KernelRoutesTest, TakesTheLinkFromTheAddressesIfTheRouteIsAHostRoute) {
  shell("ip route add 198.18.2.11/32 dev front0 && ip -6 route add fd18:2::11/128 dev front0");
  shell("ip route add 198.19.7.7/32 dev front0 && ip route add default dev front0");
  EXPECT_EQ(routes_->lookup(address("198.18.2.11"))->on_link_prefix_bits, 96 + 24);
  EXPECT_EQ(routes_->lookup(address("fd18:2::11"))->on_link_prefix_bits, 64);
  EXPECT_EQ(routes_->lookup(address("198.19.7.7"))->on_link_prefix_bits, 0)
      << "no connected prefix contains it";
  EXPECT_EQ(routes_->lookup(address("198.19.8.8"))->on_link_prefix_bits, 0)
      << "a default route is not a link";
}

TEST_F(KernelRoutesTest, TakesTheLongestConnectedPrefixAsTheLink) {
  shell("ip addr add 198.18.2.129/25 dev front0 && ip route add 198.19.64.0/18 dev front0");
  EXPECT_EQ(routes_->lookup(address("198.18.2.200"))->on_link_prefix_bits, 96 + 25);
  EXPECT_EQ(routes_->lookup(address("198.18.2.11"))->on_link_prefix_bits, 96 + 24);
  EXPECT_EQ(routes_->lookup(address("198.19.65.1"))->on_link_prefix_bits, 96 + 18);
}

TEST_F(KernelRoutesTest, ListsLocalAddresses) {
  const auto all = routes_->local_addresses();
  for (const char* text : {"127.0.0.1", "::1", "198.18.2.1", "fd18:2::1"}) {
    EXPECT_NE(std::find(all.begin(), all.end(), address(text)), all.end()) << text;
  }
  EXPECT_EQ(std::find(all.begin(), all.end(), address("198.18.2.11")), all.end());
  shell("ip addr add 198.18.0.10/32 dev lo");
  EXPECT_TRUE(changes_until([&] {
    const auto now = routes_->local_addresses();
    return std::find(now.begin(), now.end(), address("198.18.0.10")) != now.end();
  }));
}

TEST_F(KernelRoutesTest, FindsTheDefaultRouteOfItsInterfaces) {
  shell("ip link add spare0 type veth peer name spare1 && ip addr add 198.19.1.1/24 dev spare0");
  shell("ip addr add fd18:19::1/64 dev spare0 nodad && ip link set spare0 up && ip link set spare1 up");
  const uint32_t front[] = {front_};
  const uint32_t spare[] = {if_nametoindex("spare0")};
  EXPECT_FALSE(routes_->default_route(true, front));
  shell("ip route add default via 198.18.2.12 metric 300 && ip route add default via 198.18.2.11 metric 200");
  shell("ip route add default via 198.19.1.9 metric 100 && ip -6 route add default via fd18:19::9");
  const auto v4 = routes_->default_route(true, front);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->gateway_or_self, address("198.18.2.11")) << "the better metric of this interface";
  EXPECT_EQ(v4->ifindex, front_);
  EXPECT_EQ(v4->on_link_prefix_bits, 0);
  ASSERT_TRUE(routes_->default_route(true, spare));
  EXPECT_EQ(routes_->default_route(true, spare)->gateway_or_self, address("198.19.1.9"));
  EXPECT_FALSE(routes_->default_route(false, front));
  ASSERT_TRUE(routes_->default_route(false, spare));
  EXPECT_EQ(routes_->default_route(false, spare)->gateway_or_self, address("fd18:19::9"));
  EXPECT_TRUE(changes_until([&] { return routes_->default_route(true, front)->mac == mac(0x11); }));
}

TEST_F(KernelRoutesTest, ListsTheResolvedNeighboursOfItsInterfacesAndNoticesAChange) {
  shell("ip neigh add 198.18.2.11 lladdr 02:00:00:00:00:11 dev front0 nud stale");
  shell("ip neigh add 198.18.2.12 dev front0 nud failed");
  const std::vector<uint32_t> front = {front_};
  const auto mac_of = [&](const char* text) -> std::optional<MacAddress> {
    for (const auto& [key, found] : routes_->neighbours(front))
      if (key == NeighbourKey{front_, address(text)}) return found;
    return std::nullopt;
  };
  EXPECT_EQ(mac_of("198.18.2.11"), mac(0x11));
  EXPECT_EQ(mac_of("198.18.2.12"), std::nullopt);
  handle_changes();
  EXPECT_FALSE(routes_->neighbours_changed());
  shell("ip neigh replace 198.18.2.11 lladdr 02:00:00:00:00:22 dev front0 nud stale");
  handle_changes();
  EXPECT_TRUE(routes_->neighbours_changed());
  EXPECT_EQ(mac_of("198.18.2.11"), mac(0x22));
  EXPECT_FALSE(routes_->neighbours_changed());
  shell("ip neigh del 198.18.2.11 dev front0");
  handle_changes();
  EXPECT_TRUE(routes_->neighbours_changed());
}

TEST_F(KernelRoutesTest, FindsTheGatewayOfAClientAndKeepsItResolved) {
  shell("ip route add 198.18.3.0/24 via 198.18.2.11");
  const auto gateway = routes_->gateway_to(address("198.18.3.103"));
  ASSERT_TRUE(gateway);
  EXPECT_EQ(*gateway, (NeighbourKey{front_, address("198.18.2.11")}));
  EXPECT_EQ(routes_->gateway_to(address("198.18.2.77")), std::nullopt) << "a client on the link";
  routes_->keep_resolved(*gateway);
  const std::vector<uint32_t> front = {front_};
  EXPECT_TRUE(changes_until([&] { return routes_->neighbours(front).size() >= 1; }));
}

TEST_F(KernelRoutesTest, VersionOfTheRoutesChangesWithAnyRouteAndWithNoNeighbour) {
  const uint64_t first = routes_->routes_version();
  shell("ip neigh replace 198.18.2.77 lladdr 02:00:00:00:00:77 dev front0 nud reachable");
  handle_changes();
  EXPECT_EQ(routes_->routes_version(), first);
  uint64_t latest = first;
  for (const char* change : {"ip route add 198.18.48.0/20 via 198.18.2.77", "ip route del 198.18.48.0/20",
                             "ip rule add from 198.18.7.7 table 7", "ip link set front0 down"}) {
    shell(change);
    handle_changes();
    EXPECT_GT(routes_->routes_version(), latest) << change;
    latest = routes_->routes_version();
  }
}

TEST_F(KernelRoutesTest, MergesABurstOfChanges) {
  mac_of("198.18.2.99");
  handle_changes();
  const int before = changes_;
  shell("for i in $(seq 200); do echo addr add 198.19.9.$i/32 dev lo; done | ip -batch -");
  handle_changes();
  EXPECT_GE(changes_, before + 1);
  EXPECT_LE(changes_, before + 3) << "the whole burst came before the event loop ran";
}

TEST_F(KernelRoutesTest, ReportsAChangeAfterAnOverrun) {
  handle_changes();
  const int before = changes_;
  // No destination is in these prefixes, so only the overrun can cause a call of `changed`.
  shell(
      "seq 20000 | awk \"{ print \\\"route add 198.19.\\\" int(\\$1/250)%250 \\\".\\\" \\$1%250 \\\"/32 dev "
      "lo table \\\" 100+int(\\$1/62500) }\" | ip -batch -");
  handle_changes();
  EXPECT_GE(changes_, before + 1);
  handle_changes();
  // Later changes are reported as before.
  EXPECT_FALSE(mac_of("198.18.2.99"));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x99); }));
}

TEST_F(KernelRoutesTest, CanBeDestroyedWithAQueuedNotification) {
  mac_of("198.18.2.99");
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  io_.restart();
  io_.poll_one();
  const int before = changes_;
  routes_.reset();
  handle_changes();
  EXPECT_EQ(changes_, before);
}

}  // namespace
}  // namespace teal
