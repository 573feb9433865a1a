// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/last_hops.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace teal {
namespace {

constexpr uint32_t kFrontIndex = 7, kBackIndex = 8;
constexpr uint16_t kFrontPort = 1, kBackPort = 2;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
MacAddress mac_of(uint8_t last) {
  return {{0x02, 0, 0, 0, 1, last}};
}

class LastHopRoutersTest : public testing::Test {
 protected:
  LastHopRoutersTest() {
    for (const auto& [id, ifindex] : {std::pair{kFrontPort, kFrontIndex}, {kBackPort, kBackIndex}}) {
      header->ports[id].present = 1;
      header->ports[id].ifindex = ifindex;
      std::strcpy(header->ports[id].name, id == kFrontPort ? "front" : "back");
    }
  }
  // As a worker does at a client's first packet.
  uint16_t claim(uint8_t mac, const char* client = "198.18.3.103", uint16_t port = kFrontPort) {
    return *last_hop_id(*flows, {port, mac_of(mac)}, ip(client));
  }
  Hop hop_of(uint16_t id) const { return Hop::from_word(flows->last_hops[id]); }
  bool is_known(uint16_t id) const { return flows->last_hop_origins[id].known != 0; }
  static ResolvedNeighbour neighbour(const char* address, uint8_t mac, uint32_t ifindex = kFrontIndex) {
    return {{ifindex, ip(address)}, mac_of(mac)};
  }
  void look(std::vector<ResolvedNeighbour> neighbours) { routers.look(neighbours); }
  // The kernel routes to all clients by these gateways.
  bool keep(std::vector<const char*> gateways, uint32_t most = 100) {
    return routers.keep_gateways(
        [&](const IpAddress&) -> std::optional<NeighbourKey> {
          const size_t next = asked++ % gateways.size();
          return NeighbourKey{kFrontIndex, ip(gateways[next])};
        },
        most);
  }

  std::unique_ptr<SegmentHeader> header = std::make_unique<SegmentHeader>();
  std::unique_ptr<FlowsHeader> flows = std::make_unique<FlowsHeader>();
  LastHopRouters routers{*header, *flows};
  size_t asked = 0;
};

TEST_F(LastHopRoutersTest, HopFollowsItsRouterToAnotherMac) {
  const uint16_t id = claim(1), other = claim(5);
  keep({"198.18.1.2"});
  look({neighbour("198.18.1.2", 1)});
  look({neighbour("198.18.1.2", 2)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(2)}));
  EXPECT_TRUE(is_known(id));
  EXPECT_EQ(hop_of(other), (Hop{kFrontPort, mac_of(5)}));
  look({neighbour("198.18.1.2", 1)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(1)}));
}

TEST_F(LastHopRoutersTest, HopFollowsARouterThatWasAwayForAWhile) {
  const uint16_t id = claim(1);
  keep({"198.18.1.2"});
  look({neighbour("198.18.1.2", 1)});
  look({});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(1)}));
  EXPECT_FALSE(is_known(id));
  look({neighbour("198.18.1.1", 1)});  // another address of the same host does not become the router
  look({neighbour("198.18.1.2", 2)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(2)}));
}

TEST_F(LastHopRoutersTest, AnotherTealdKnowsTheRouter) {
  const uint16_t id = claim(1);
  look({neighbour("198.18.1.2", 1)});
  LastHopRouters next(*header, *flows);
  next.keep_gateways([](const IpAddress&) { return NeighbourKey{kFrontIndex, ip("198.18.1.2")}; }, 100);
  next.look(std::vector{neighbour("198.18.1.2", 2)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(2)}));
}

TEST_F(LastHopRoutersTest, StrangerThatAnnouncesTheMacOfARouterIsNotFollowed) {
  const uint16_t id = claim(1);
  look({neighbour("198.18.1.66", 1), neighbour("198.18.1.2", 1)});
  look({neighbour("198.18.1.66", 9), neighbour("198.18.1.2", 1)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(1)}));
  keep({"198.18.1.2"});
  look({neighbour("198.18.1.66", 9), neighbour("198.18.1.2", 1)});
  look({neighbour("198.18.1.66", 9), neighbour("198.18.1.2", 2)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(2)}));
}

TEST_F(LastHopRoutersTest, StrangerIsNotKnown) {
  const uint16_t id = claim(9), router = claim(1);
  look({neighbour("198.18.1.2", 1), neighbour("198.18.2.11", 9, kBackIndex)});
  EXPECT_FALSE(is_known(id)) << "a neighbour of another port is none of this one";
  EXPECT_TRUE(is_known(router));
}

TEST_F(LastHopRoutersTest, GatewayIsTheRouterAmongNeighboursOfOneMac) {
  const uint16_t id = claim(1);
  const std::vector both = {neighbour("198.18.1.2", 1), neighbour("198.18.1.9", 1)};
  look(both);
  EXPECT_TRUE(keep({"198.18.1.9"}));
  look(both);
  look({neighbour("198.18.1.2", 3), neighbour("198.18.1.9", 1)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(1)}));
  look({neighbour("198.18.1.2", 3), neighbour("198.18.1.9", 4)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(4)}));
}

TEST_F(LastHopRoutersTest, ClientOnTheLinkIsItsOwnRouter) {
  const uint16_t id = claim(1, "198.18.1.101");
  look({neighbour("198.18.1.101", 1), neighbour("198.18.1.100", 1)});
  look({neighbour("198.18.1.101", 2), neighbour("198.18.1.100", 1)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(2)}));
}

TEST_F(LastHopRoutersTest, RowThatIsClaimedAgainHasAnotherRouter) {
  const uint16_t id = claim(1);
  look({neighbour("198.18.1.2", 1)});
  flows->last_hops[id] = Hop{kFrontPort, mac_of(7)}.word();  // a start freed the row, and a worker claimed it
  look({neighbour("198.18.1.2", 1)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(7)}));
  EXPECT_FALSE(is_known(id));
}

TEST_F(LastHopRoutersTest, GatewaysAreAskedForOnceForEachRowAndNotAllAtOnce) {
  for (uint8_t mac = 1; mac <= 5; ++mac) claim(mac);
  EXPECT_FALSE(keep({"198.18.1.2"}, 3));
  EXPECT_TRUE(keep({"198.18.1.2"}, 3));
  EXPECT_TRUE(keep({"198.18.1.2"}, 3));
  EXPECT_EQ(asked, 5u);
}

TEST_F(LastHopRoutersTest, RowOfAPortThatIsGoneStays) {
  const uint16_t id = claim(1);
  look({neighbour("198.18.1.2", 1)});
  header->ports[kFrontPort].present = 0;
  look({neighbour("198.18.1.2", 2)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(1)}));
  EXPECT_FALSE(is_known(id));
}

TEST_F(LastHopRoutersTest, DamagedRowIsLeftAlone) {
  flows->last_hops[3] = ~uint64_t{0};
  look({neighbour("198.18.1.2", 1)});
  EXPECT_EQ(flows->last_hops[3], ~uint64_t{0});
}

}  // namespace
}  // namespace teal
