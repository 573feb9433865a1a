// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port_monitor.h"

#include <map>
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

}  // namespace
}  // namespace teal
