// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port.h"

#include <gtest/gtest.h>

#include "tests/unit/dataplane/ring_ports.h"

namespace teal {
namespace {

TEST(StartEthdev, SaysThatADeviceHasNoRss) {
  EXPECT_FALSE(test::RingPorts::get().spreads()) << "rings have none, and these have several queues";
}

}  // namespace
}  // namespace teal
