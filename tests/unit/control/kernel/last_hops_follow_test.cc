// SPDX-License-Identifier: Apache-2.0
//
// Last hops follow the gateways of the real kernel's routes, also after these have changed. The header shows
// the topology.
#include "control/kernel/last_hops.h"

#include <tuple>

#include "control/publish/publisher.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/kernel/kernel_routes_fixture.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

constexpr uint16_t kFrontPort = 1;

class LastHopFollowerTest : public KernelRoutesTest {
 protected:
  void SetUp() override {
    KernelRoutesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    dataplane_.emplace(dir_.path());
    dataplane_->add_port(kFrontPort, "front", LinkState::kUp, 0);
    dataplane_->segment().header().ports[kFrontPort].ifindex = front_;
    ASSERT_TRUE(publisher_.refresh());
    follower_.emplace(publisher_, *routes_);
  }
  void TearDown() override {
    follower_.reset();
    dataplane_.reset();
    KernelRoutesTest::TearDown();
  }
  // As a worker does at a client's first packet.
  uint16_t claim(uint8_t last_of_mac, const char* client) {
    return *last_hop_id(flows(), {kFrontPort, mac(last_of_mac)}, address(client));
  }
  // As a starting dataplane does with a row that no flow has.
  void free_row(uint16_t id) {
    flows().last_hop_origins[id].known = 0;
    flows().last_hops[id] = Hop::kNone;
  }
  // teald's rounds until the hop has this MAC address. Returns false if it does not get it.
  bool gets(uint16_t id, uint8_t last_of_mac) {
    return follows_until([&] { return Hop::from_word(flows().last_hops[id]).mac == mac(last_of_mac); });
  }
  bool is_known_soon(uint16_t id) {
    return follows_until([&] { return flows().last_hop_origins[id].known != 0; });
  }
  template <typename Condition>
  bool follows_until(Condition wanted) {
    const auto end = std::chrono::steady_clock::now() + 1s;  // a look is followed by a rest
    do {
      handle_changes();
      follower_->follow();
      if (wanted()) return true;
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }
  static void neighbour(const char* address, const char* last_of_mac) {
    shell(std::string("ip neigh replace ") + address + " lladdr 02:00:00:00:00:" + last_of_mac +
          " dev front0 nud permanent");
  }
  FlowsHeader& flows() { return dataplane_->segment().flows(); }

  TempDir dir_;
  std::optional<FakeDataplane> dataplane_;
  Publisher publisher_{dir_.path()};
  std::optional<LastHopFollower> follower_;
};

// BGP comes up after the first packets, for example.
TEST_F(LastHopFollowerTest, RouterIsFollowedIfItsRouteComesAfterTheRow) {
  neighbour("198.18.2.12", "12");
  const uint16_t id = claim(0x12, "198.18.50.7");
  ASSERT_TRUE(is_known_soon(id));
  shell("ip route add 198.18.50.0/24 via 198.18.2.12");
  handle_changes();
  follower_->follow();
  neighbour("198.18.2.12", "22");
  EXPECT_TRUE(gets(id, 0x22));
}

TEST_F(LastHopFollowerTest, NewGatewayOfTheRouteIsFollowed) {
  shell("ip route add 198.18.50.0/24 via 198.18.2.12 && ip -6 route add fd18:50::/64 via fd18:2::12");
  for (const auto& [client, first, second] : {std::tuple("198.18.50.7", "198.18.2.12", "198.18.2.13"),
                                              {"fd18:50::7", "fd18:2::12", "fd18:2::13"}}) {
    neighbour(first, "12");
    neighbour(second, "12");  // the router has both addresses
    const uint16_t id = claim(0x12, client);
    ASSERT_TRUE(is_known_soon(id));
    const bool v4 = address(client).is_v4();
    shell(v4 ? "ip route replace 198.18.50.0/24 via 198.18.2.13"
             : "ip -6 route replace fd18:50::/64 via fd18:2::13");
    ASSERT_TRUE(follows_until([&] { return flows().last_hop_origins[id].router == address(second); }));
    neighbour(first, "22");
    handle_changes();
    follower_->follow();
    EXPECT_TRUE(gets(id, 0x12)) << "no longer the gateway: " << first;
    neighbour(second, "13");
    EXPECT_TRUE(gets(id, 0x13)) << second;
    free_row(id);
  }
}

TEST_F(LastHopFollowerTest, RowThatIsClaimedAgainFollowsItsNewRouter) {
  shell("ip route add 198.18.50.0/24 via 198.18.2.12 && ip route add 198.18.51.0/24 via 198.18.2.13");
  neighbour("198.18.2.12", "12");
  neighbour("198.18.2.13", "13");
  const uint16_t id = claim(0x12, "198.18.50.7");
  ASSERT_TRUE(is_known_soon(id));
  // teald sees the row only after another hop has got it.
  free_row(id);
  const IpAddress client = address("198.18.51.7");
  flows().last_hops[id] = Hop{kFrontPort, mac(0x13)}.word();
  flows().last_hop_origins[id].client[0] = client.word(0);
  flows().last_hop_origins[id].client[1] = client.word(1);
  ASSERT_TRUE(is_known_soon(id)) << "teald looks although as many rows are taken as before";
  neighbour("198.18.2.13", "23");
  EXPECT_TRUE(gets(id, 0x23));
}

}  // namespace
}  // namespace teal
