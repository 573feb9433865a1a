// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port.h"

#include <gtest/gtest.h>

#include "tests/unit/dataplane/ring_ports.h"

namespace teal {
namespace {

TEST(StartEthdev, SaysThatADeviceHasNoRss) {
  EXPECT_FALSE(test::RingPorts::get().spreads()) << "rings have none, and these have several queues";
}

// PortTraits::set_mac() takes all frames then.
TEST(PresentMac, OfARingIsAllZeros) {
  Port port;
  port.queues.push_back({test::RingPorts::get().ethdev(test::kFront), 0});
  const auto mac = present_mac(port);
  ASSERT_TRUE(mac.has_value());
  EXPECT_EQ(*mac, MacAddress{});
}

}  // namespace
}  // namespace teal
