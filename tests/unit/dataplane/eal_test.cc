// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace teal {
namespace {

using testing::Contains;
using testing::Not;
using testing::StartsWith;

DataplaneOptions with_ports(std::vector<PortOptions> ports) {
  DataplaneOptions options;
  options.ports = std::move(ports);
  return options;
}
std::vector<std::string> arguments_of(const DataplaneOptions& options) {
  return eal_arguments(options, "teal", 0).arguments;
}

const PortOptions kFront{.name = "front", .kind = DeviceKind::kPci, .device = "0000:3b:00.0"};
const PortOptions kBack{.name = "back", .kind = DeviceKind::kPci, .device = "0000:3b:00.1"};
const PortOptions kXdp{.name = "side", .kind = DeviceKind::kAfXdp, .device = "eth1"};

TEST(EalArguments, EalSeesThePortsOfDpdkAndChoosesTheAddresses) {
  const auto arguments = arguments_of(with_ports({kFront, kXdp, kBack}));
  EXPECT_THAT(arguments, Contains("--allow=0000:3b:00.0"));
  EXPECT_THAT(arguments, Contains("--allow=0000:3b:00.1"));
  EXPECT_THAT(arguments, Not(Contains(StartsWith("--iova-mode"))));
  EXPECT_THAT(arguments, Not(Contains("--no-pci")));
}

TEST(EalArguments, WithoutAPciPortEalUsesVirtualAddresses) {
  const auto arguments = arguments_of(with_ports({kXdp}));
  EXPECT_THAT(arguments, Contains("--iova-mode=va"));
  EXPECT_THAT(arguments, Contains("--no-pci"));
}

TEST(EalArguments, TheConfigForcesTheAddresses) {
  auto options = with_ports({kFront});
  options.iova = Iova::kPa;
  EXPECT_THAT(arguments_of(options), Contains("--iova-mode=pa"));
  options.iova = Iova::kVa;
  EXPECT_THAT(arguments_of(options), Contains("--iova-mode=va"));
}

}  // namespace
}  // namespace teal
