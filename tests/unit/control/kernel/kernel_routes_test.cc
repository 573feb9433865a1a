// SPDX-License-Identifier: Apache-2.0
//
// Against the kernel: each test makes network namespaces of its own.
//
//   here: front0 198.18.2.1/24 fd18:2::1/64 ---- back0 198.18.2.11/24 fd18:2::11/64 :there
//         (MAC 02:00:00:00:00:01)                (MAC 02:00:00:00:00:11)
#include "control/kernel/kernel_routes.h"

#include <utility>  // before Asio 1.74, which forgets it in C++20

#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

#include "control/kernel/neighbour.h"
#include "control/kernel/netlink_ptr.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

// A process that holds a network namespace until it is destroyed.
class OtherNamespace {
 public:
  OtherNamespace() {
    int ready[2], hold[2];
    if (pipe(ready) != 0 || pipe(hold) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      char byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      close(hold[1]);
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      [[maybe_unused]] const auto end = read(hold[0], &byte, 1);  // until the parent closes its end
      _exit(0);
    }
    char byte = 'n';
    usable_ = read(ready[0], &byte, 1) == 1 && byte == 'y';
    for (const int fd : {ready[0], ready[1], hold[0]}) close(fd);
    hold_ = hold[1];
  }
  ~OtherNamespace() {
    close(hold_);
    waitpid(pid_, nullptr, 0);
  }
  bool usable() const { return usable_; }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
  int hold_ = -1;
  bool usable_ = false;
};

void shell(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}
MacAddress mac(uint8_t last) {
  return {{2, 0, 0, 0, 0, last}};
}

class KernelRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, for network namespaces";
    there_ = std::make_unique<OtherNamespace>();
    before_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (!there_->usable() || before_ < 0 || unshare(CLONE_NEWNET) != 0) {
      GTEST_SKIP() << "cannot make network namespaces here";
    }
    moved_ = true;
    shell("ip link set lo up");
    shell(
        "ip link add front0 address 02:00:00:00:00:01 type veth peer name back0 address 02:00:00:00:00:11 "
        "netns " +
        there_->pid());
    shell(
        "ip addr add 198.18.2.1/24 dev front0 && ip addr add fd18:2::1/64 dev front0 nodad && ip link set "
        "front0 up");
    in_other(
        "ip addr add 198.18.2.11/24 dev back0 && ip addr add fd18:2::11/64 dev back0 nodad && ip link set "
        "back0 up");
    front_ = if_nametoindex("front0");
    auto opened = KernelRoutes::open(io_, [this] { ++changes_; });
    ASSERT_TRUE(opened) << opened.error();
    routes_ = std::move(*opened);
    settle();
  }
  void TearDown() override {
    routes_.reset();
    if (moved_) {
      ASSERT_EQ(setns(before_, CLONE_NEWNET), 0);
    }
    if (before_ >= 0) close(before_);
  }

  void in_other(const std::string& command) {
    shell("nsenter -t " + there_->pid() + " -n sh -c '" + command + "'");
  }

  // Until nothing has been told of for a while: interfaces that come up cause many notifications.
  void settle() {
    int seen = -1;
    while (seen != changes_) {
      seen = changes_;
      run(150ms);
    }
  }
  void run(std::chrono::milliseconds time) {
    io_.restart();
    io_.run_for(time);
  }
  // Runs until `wanted` holds, which is asked only after a call of `changed`.
  template <typename Condition>
  bool changes_until(Condition wanted, std::chrono::milliseconds limit = 3s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      const int before = changes_;
      io_.restart();
      io_.run_one_for(50ms);
      if (changes_ != before && wanted()) return true;
    }
    return false;
  }
  std::optional<MacAddress> mac_of(const char* text) {
    const auto route = routes_->lookup(address(text));
    return route ? route->mac : std::nullopt;
  }

  std::unique_ptr<OtherNamespace> there_;
  int before_ = -1;
  bool moved_ = false;
  uint32_t front_ = 0;
  int changes_ = 0;
  boost::asio::io_context io_;
  std::unique_ptr<KernelRoutes> routes_;
};

TEST_F(KernelRoutesTest, ResolvesABackendOnTheLink) {
  const auto first = routes_->lookup(address("198.18.2.11"));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->ifindex, front_);
  EXPECT_EQ(first->gateway_or_self, address("198.18.2.11"));
  EXPECT_EQ(first->on_link_prefix_bits, 96 + 24);
  EXPECT_FALSE(first->mac) << "nobody has asked for it yet";
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

TEST_F(KernelRoutesTest, TellsWhenAnUnresolvedNeighbourResolves) {
  EXPECT_FALSE(mac_of("198.18.2.99"));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x99); }));
}

TEST_F(KernelRoutesTest, TellsWhenAMacChanges) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:98 dev front0 nud permanent");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x98); }));
}

TEST_F(KernelRoutesTest, TellsWhenANeighbourIsForgotten) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  EXPECT_EQ(mac_of("198.18.2.99"), mac(0x99));
  shell("ip neigh del 198.18.2.99 dev front0");
  EXPECT_TRUE(changes_until([&] { return !mac_of("198.18.2.99"); }));
}

TEST_F(KernelRoutesTest, FollowsANewMacOfALiveBackend) {
  mac_of("198.18.2.11");
  ASSERT_TRUE(changes_until([&] { return mac_of("198.18.2.11") == mac(0x11); }));
  in_other("ip link set back0 down && ip link set back0 address 02:00:00:00:00:22 && ip link set back0 up");
  // Its next ARP request tells the kernel; a backend that keeps silent is only found when REACHABLE has run
  // out.
  in_other("ping -q -c 3 -i 0.5 -W 1 198.18.2.1 >/dev/null");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.11") == mac(0x22); }));
}

TEST_F(KernelRoutesTest, LetsTheKernelKeepTheNeighbourAndLeavesPermanentOnes) {
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

// What an older kernel gets.
TEST_F(KernelRoutesTest, UseAndProbeRequestsResolveAndConfirm) {
  const NetlinkSocketPtr socket(nl_socket_alloc());
  ASSERT_EQ(nl_connect(socket.get(), NETLINK_ROUTE), 0);
  const NeighbourKey key{front_, address("198.18.2.11")};
  const auto wait_for = [&](auto wanted) {
    for (int i = 0; i < 300 && !wanted(get_neighbour(socket.get(), key)); ++i) usleep(10'000);
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

TEST_F(KernelRoutesTest, HasNoAnswerWithoutAUnicastRoute) {
  EXPECT_FALSE(routes_->lookup(address("198.19.0.1")));
  EXPECT_FALSE(routes_->lookup(address("fd18:ffff::1")));
  EXPECT_FALSE(routes_->lookup(address("198.18.2.1"))) << "an own address";
  shell(
      "ip route add blackhole 198.19.0.0/24 && ip route add unreachable 198.19.1.0/24 && ip -6 route add "
      "blackhole fd18:9::/64");
  EXPECT_FALSE(routes_->lookup(address("198.19.0.1")));
  EXPECT_FALSE(routes_->lookup(address("198.19.1.1")));
  EXPECT_FALSE(routes_->lookup(address("fd18:9::1")));
}

TEST_F(KernelRoutesTest, TellsWhenARouteComesAndGoes) {
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

TEST_F(KernelRoutesTest, SaysNothingOfWhatNobodyAskedFor) {
  mac_of("198.18.2.99");
  settle();
  const int before = changes_;
  shell("ip neigh replace 198.18.2.77 lladdr 02:00:00:00:00:77 dev front0 nud reachable");
  shell("ip route add 198.18.48.0/20 via 198.18.2.77");
  run(200ms);
  EXPECT_EQ(changes_, before);
}

TEST_F(KernelRoutesTest, SaysNothingWhenANeighbourOnlyAges) {
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud permanent");
  mac_of("198.18.2.99");
  settle();
  const int before = changes_;
  for (const char* state : {"reachable", "stale", "delay"}) {
    shell(std::string("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud ") + state);
  }
  run(200ms);
  EXPECT_EQ(changes_, before);
}

TEST_F(KernelRoutesTest, AHostRouteIsNotTheLink) {
  shell("ip route add 198.18.2.11/32 dev front0 && ip -6 route add fd18:2::11/128 dev front0");
  shell("ip route add 198.19.7.7/32 dev front0 && ip route add default dev front0");
  EXPECT_EQ(routes_->lookup(address("198.18.2.11"))->on_link_prefix_bits, 96 + 24);
  EXPECT_EQ(routes_->lookup(address("fd18:2::11"))->on_link_prefix_bits, 64);
  EXPECT_EQ(routes_->lookup(address("198.19.7.7"))->on_link_prefix_bits, 0) << "no connected prefix holds it";
  EXPECT_EQ(routes_->lookup(address("198.19.8.8"))->on_link_prefix_bits, 0) << "a default route is no link";
}

TEST_F(KernelRoutesTest, TheLongestConnectedPrefixIsTheLink) {
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

TEST_F(KernelRoutesTest, MergesABurstOfChanges) {
  mac_of("198.18.2.99");
  settle();
  const int before = changes_;
  shell("for i in $(seq 200); do echo addr add 198.19.9.$i/32 dev lo; done | ip -batch -");
  run(300ms);
  EXPECT_GE(changes_, before + 1);
  EXPECT_LE(changes_, before + 3) << "all came before the event loop ran";
}

TEST_F(KernelRoutesTest, AnOverrunMeansThatEverythingMayHaveChanged) {
  settle();
  const int before = changes_;
  // Nobody asked for these prefixes, so that only the overrun can be the reason for a call.
  shell(
      "seq 20000 | awk \"{ print \\\"route add 198.19.\\\" int(\\$1/250)%250 \\\".\\\" \\$1%250 \\\"/32 dev "
      "lo table \\\" 100+int(\\$1/62500) }\" | ip -batch -");
  run(500ms);
  EXPECT_GE(changes_, before + 1);
  settle();
  // And it goes on to notice.
  EXPECT_FALSE(mac_of("198.18.2.99"));
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x99); }));
}

TEST_F(KernelRoutesTest, RefreshAsksAgainForAnEntryThatWentWithItsLink) {
  EXPECT_FALSE(mac_of("198.18.2.99"));
  settle();
  shell("ip neigh flush dev front0 nud all || true");
  run(100ms);
  in_other("ip addr add 198.18.2.99/24 dev back0");
  routes_->refresh();
  EXPECT_TRUE(changes_until([&] { return mac_of("198.18.2.99") == mac(0x11); }, 8s));
}

TEST_F(KernelRoutesTest, CanBeDestroyedWithANotificationUnderWay) {
  mac_of("198.18.2.99");
  shell("ip neigh replace 198.18.2.99 lladdr 02:00:00:00:00:99 dev front0 nud reachable");
  io_.restart();
  io_.poll_one();
  const int before = changes_;
  routes_.reset();
  run(100ms);
  EXPECT_EQ(changes_, before);
}

}  // namespace
}  // namespace teal
