// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port_monitor.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace teal {
namespace {

TEST(NicCounters, EachIsTheOneThatTheDriverCounted) {
  rte_eth_stats stats{};
  stats.ipackets = 1;
  stats.opackets = 2;
  stats.ibytes = 3;
  stats.obytes = 4;
  stats.imissed = 5;
  stats.ierrors = 6;
  stats.oerrors = 7;
  stats.rx_nombuf = 8;
  std::map<std::string, uint64_t> counted;
  const NicCounters counters = nic_counters(stats);
  for (size_t i = 0; i < counters.size(); ++i) counted[std::string(kNicCounterNames[i])] = counters[i];
  const std::map<std::string, uint64_t> expected = {{"rx_packets", 1}, {"tx_packets", 2},   {"rx_bytes", 3},
                                                    {"tx_bytes", 4},   {"rx_missed", 5},    {"rx_errors", 6},
                                                    {"tx_errors", 7},  {"rx_no_buffers", 8}};
  EXPECT_EQ(counted, expected);
}

// A port of the kernel's interface "front", in a network namespace of its own.
class MonitoredPort : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs network namespaces";
    if (std::system("ip link add front address 02:00:00:00:00:01 type veth peer name far") != 0)
      GTEST_SKIP() << "needs ip (iproute2) and veth";
    port_.id = 3;
    port_.name = "client-side";
    port_.interface = "front";
    port_.ifindex = if_nametoindex("front");
    port_.mac = present_mac(port_).value();
    fill_port_row(header_->ports[port_.id], port_);
    macs_ = std::make_unique<CurrentMacs>(std::span(&port_, 1));
    monitor_ = std::make_unique<PortMonitor>(std::span(&port_, 1), *header_, *macs_);
  }
  void TearDown() override {
    if (home_ < 0) return;
    EXPECT_EQ(setns(home_, CLONE_NEWNET), 0);
    close(home_);
  }
  MacAddress in_row() const {
    MacAddress mac;
    std::copy_n(header_->ports[port_.id].mac, 6, mac.bytes);
    return mac;
  }

  int home_ = -1;
  Port port_;
  std::unique_ptr<SegmentHeader> header_ = std::make_unique<SegmentHeader>();
  std::unique_ptr<CurrentMacs> macs_;
  std::unique_ptr<PortMonitor> monitor_;
};

TEST_F(MonitoredPort, TellsWorkersAndRowAboutAnotherMac) {
  constexpr MacAddress kFirst{{2, 0, 0, 0, 0, 1}}, kSecond{{6, 0x11, 0x22, 0x33, 0x44, 0x55}};
  monitor_->look();
  EXPECT_EQ(macs_->changes(), 0u) << "nothing has changed";
  EXPECT_EQ(macs_->of(3), kFirst);
  ASSERT_EQ(std::system("ip link set front address 06:11:22:33:44:55"), 0);
  monitor_->look();
  EXPECT_EQ(macs_->changes(), 1u);
  EXPECT_EQ(macs_->of(3), kSecond);
  EXPECT_EQ(in_row(), kSecond);
  monitor_->look();
  EXPECT_EQ(macs_->changes(), 1u);
}

TEST_F(MonitoredPort, KeepsTheMacOfAnInterfaceThatIsGone) {
  ASSERT_EQ(std::system("ip link del front"), 0);
  monitor_->look();
  EXPECT_EQ(macs_->changes(), 0u);
}

// The port stays as it is until the steering program can be told. Here nobody has attached one.
TEST_F(MonitoredPort, KeepsTheMacThatTheSteeringProgramHas) {
  port_.steered = true;
  ASSERT_EQ(std::system("ip link set front address 06:11:22:33:44:55"), 0);
  monitor_->look();
  monitor_->look();
  EXPECT_EQ(macs_->changes(), 0u);
}

}  // namespace
}  // namespace teal
