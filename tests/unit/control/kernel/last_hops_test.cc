// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/last_hops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
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
  // The kernel routes to all clients by these gateways. Each call is after a change of routes, unless it has
  // the version of before.
  bool keep(std::vector<const char*> gateways, uint32_t most = 100, uint64_t version = 0) {
    return routers.ask_for_gateways({.gateway_to = [&](const IpAddress&) -> std::optional<NeighbourKey> {
                                       const size_t next = asked++ % gateways.size();
                                       return NeighbourKey{kFrontIndex, ip(gateways[next])};
                                     },
                                     .keep_resolved = [&](const NeighbourKey&) { ++kept; }},
                                    version != 0 ? version : ++latest_version, most);
  }

  std::unique_ptr<SegmentHeader> header = std::make_unique<SegmentHeader>();
  std::unique_ptr<FlowsHeader> flows = std::make_unique<FlowsHeader>();
  LastHopRouters routers{*header, *flows};
  size_t asked = 0, kept = 0;
  uint64_t latest_version = 1'000;
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
  next.ask_for_gateways({.gateway_to =
                             [](const IpAddress&) {
                               return NeighbourKey{kFrontIndex, ip("198.18.1.2")};
                             },
                         .keep_resolved = [](const NeighbourKey&) {}},
                        1, 100);
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

TEST_F(LastHopRoutersTest, GatewaysAreAskedForOnceForEachRowAndVersionAndNotAllAtOnce) {
  for (uint8_t mac = 1; mac <= 5; ++mac) claim(mac);
  for (const uint64_t version : {7, 8}) {
    asked = 0;
    keep({"198.18.1.2"}, 3, version);
    EXPECT_EQ(asked, 3u);
    for (int i = 0; i < 3; ++i) keep({"198.18.1.2"}, 3, version);
    EXPECT_EQ(asked, 5u);
  }
  EXPECT_EQ(kept, 1u) << "the rows share a gateway";
}

// A router's table changes all the time, so the rows take turns.
TEST_F(LastHopRoutersTest, EachRowIsAskedForInItsTurnAlthoughRoutesAlwaysChange) {
  const std::vector<std::string> clients = {"198.18.3.101", "198.18.3.102", "198.18.3.103", "198.18.3.104"};
  for (size_t i = 0; i < clients.size(); ++i) claim(static_cast<uint8_t>(i), clients[i].c_str());
  std::vector<std::string> turns;
  for (uint64_t version = 1; version <= 4; ++version) {
    routers.ask_for_gateways({.gateway_to = [&](const IpAddress& client) -> std::optional<NeighbourKey> {
                                turns.push_back(client.to_string());
                                return std::nullopt;
                              },
                              .keep_resolved = nullptr},
                             version, 1);
  }
  std::sort(turns.begin(), turns.end());
  EXPECT_EQ(turns, clients);
}

TEST_F(LastHopRoutersTest, NewHopOrClientOfARowIsAskedFor) {
  const uint16_t id = claim(1);
  EXPECT_TRUE(keep({"198.18.1.2"}, 100, 7));
  EXPECT_FALSE(keep({"198.18.1.2"}, 100, 7));
  flows->last_hops[id] = Hop{kFrontPort, mac_of(7)}.word();
  EXPECT_TRUE(keep({"198.18.1.2"}, 100, 7));
  EXPECT_EQ(asked, 2u);
  flows->last_hop_origins[id].client[1] = ip("198.18.3.104").word(1);
  EXPECT_TRUE(keep({"198.18.1.2"}, 100, 7));
  EXPECT_EQ(asked, 3u);
  EXPECT_EQ(kept, 1u);
}

TEST_F(LastHopRoutersTest, GatewaysOfNoRowMakeRoomForOthers) {
  std::vector<std::string> names;
  for (uint32_t i = 0; i <= LastHopRouters::kMostGateways; ++i)
    names.push_back("198.18.1." + std::to_string(100 + i));
  std::vector<const char*> gateways;
  uint16_t id = 0;
  for (const std::string& name : names) {
    gateways.push_back(name.c_str());
    id = claim(static_cast<uint8_t>(gateways.size()));
  }
  keep(gateways);
  EXPECT_EQ(kept, LastHopRouters::kMostGateways);
  keep({"198.18.1.2"});
  EXPECT_EQ(kept, LastHopRouters::kMostGateways + 1);
  look({neighbour("198.18.1.2", LastHopRouters::kMostGateways + 1)});
  look({neighbour("198.18.1.2", 0x99)});
  EXPECT_EQ(hop_of(id), (Hop{kFrontPort, mac_of(0x99)}));
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
