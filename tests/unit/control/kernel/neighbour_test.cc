// SPDX-License-Identifier: Apache-2.0
//
// Neighbours of the real kernel: resolved, changed and kept.
#include "control/kernel/neighbour.h"

#include "control/kernel/netlink_ptr.h"
#include "tests/unit/control/kernel/kernel_routes_fixture.h"

namespace teal {
namespace {

TEST_F(KernelRoutesTest, ReportsThatANeighbourResolves) {
  EXPECT_FALSE(mac_of("198.18.2.99"));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x99); }));
}

TEST_F(KernelRoutesTest, ReportsThatAMacChanges) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:98 dev front0 nud permanent");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x98); }));
}

TEST_F(KernelRoutesTest, ReportsThatANeighbourIsDeleted) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  shell("ip neigh del 198.18.2.99 dev front0");
  EXPECT_TRUE(changes_until([&] { return !mac_of("198.18.2.99"); }));
}

TEST_F(KernelRoutesTest, ReportsTheNewMacOfALiveBackend) {
  shell("sysctl -qw net.ipv4.neigh.front0.locktime=0");  // a MAC address may change at any time
  mac_of("198.18.2.11");
  ASSERT_TRUE(changes_until([&] { return mac_of("198.18.2.11") == mac(0x11); }));
  in_other("ip link set back0 down && ip link set back0 address 02:00:00:00:00:22 && ip link set back0 up");
  // The backend's next ARP request tells the kernel. For a silent backend the kernel would first wait until
  // the state REACHABLE expires.
  in_other("ping -q -c 1 -w 5 198.18.2.1 >/dev/null");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.11") == mac(0x22); }));
}

TEST_F(KernelRoutesTest, AsksTheKernelToManageAllButPermanentNeighbours) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  mac_of("198.18.2.11");
  mac_of("198.18.2.99");
  const NetlinkSocketPtr socket(nl_socket_alloc());
  ASSERT_EQ(nl_connect(socket.get(), NETLINK_ROUTE), 0);
  const auto permanent = get_neighbour(socket.get(), {front_, address("198.18.2.99")});
  EXPECT_TRUE(is_fixed(permanent));
  EXPECT_EQ(permanent.mac, mac(0x99));
  if (!get_neighbour(socket.get(), {front_, address("198.18.2.11")}).managed)
    GTEST_SKIP() << "needs kernel 5.16 for NTF_EXT_MANAGED";
}

// Kernels before 5.16 get these requests.
TEST_F(KernelRoutesTest, UseAndProbeRequestsResolveAndConfirm) {
  const NetlinkSocketPtr socket(nl_socket_alloc());
  ASSERT_EQ(nl_connect(socket.get(), NETLINK_ROUTE), 0);
  const NeighbourKey key{front_, address("198.18.2.11")};
  const auto wait_for = [&](auto wanted) {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < end && !wanted(get_neighbour(socket.get(), key)))
      io_.run_one_for(100ms);
    return wanted(get_neighbour(socket.get(), key));
  };
  ASSERT_EQ(request_neighbour(socket.get(), key, get_neighbour(socket.get(), key), NeighbourRequest::kUse),
            0);
  EXPECT_TRUE(wait_for([](const Neighbour& n) { return n.mac == mac(0x11) && !n.managed; }));
  shell("ip neigh replace 198.18.2.11 lladdr 02:00:00:00:00:11 dev front0 nud stale");
  const auto stale = get_neighbour(socket.get(), key);
  ASSERT_EQ(stale.state, NUD_STALE);
  ASSERT_EQ(request_neighbour(socket.get(), key, stale, NeighbourRequest::kProbe), 0);
  EXPECT_TRUE(wait_for([](const Neighbour& n) { return n.state == NUD_REACHABLE; }));
}

TEST_F(KernelRoutesTest, KeepsAReachableMacWhenItAsksForManagement) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  routes_->refresh();
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
}

TEST_F(KernelRoutesTest, ReportsNoChangeWhenANeighbourOnlyAges) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  mac_of("198.18.2.99");
  handle_changes();
  const int before = changes_;
  for (const char* state : {"reachable", "stale", "delay"}) {
    shell(std::string("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud ") + state);
  }
  handle_changes();
  EXPECT_EQ(changes_, before);
}

TEST_F(KernelRoutesTest, RefreshAsksAgainForAnEntryThatVanishedWithItsLink) {
  EXPECT_FALSE(mac_of("198.18.2.99"));
  handle_changes();
  shell("ip neigh flush dev front0 nud all || true");
  handle_changes();
  in_other("ip addr add 198.18.2.99/24 dev back0");
  routes_->refresh();
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x11); }));
}

}  // namespace
}  // namespace teal
