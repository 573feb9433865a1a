// SPDX-License-Identifier: Apache-2.0
//
// Stands in for teal-dataplane, so that teald has flows to show. Usage: stand_in_dataplane RUN_DIR CLIENTS
//
// It prints "ready" when it has a segment. Then it reads commands, one a line:
//   flows   begins flows on the first blue backend of the first service (ids 0): CLIENTS flows of different
//           clients, and CLIENTS flows of one client
//   hold    stops the worker in the middle of a burst
//   go on   lets the worker go on
#include <iostream>
#include <string>

#include "tests/unit/control/fake_dataplane.h"

namespace {

using namespace teal;

void begin_flows(FakeDataplane& dataplane, uint32_t clients) {
  FlowTable table = dataplane.segment().flow_table();
  const auto generation = static_cast<uint32_t>(dataplane.generation());
  const FlowState state{.tick = 1, .last_hop = 0, .phase = FlowPhase::kEstablished};
  for (uint32_t i = 0; i < 2 * clients; ++i) {
    const uint32_t host = i < clients ? i + 1 : 0;
    const uint8_t bytes[4] = {10, static_cast<uint8_t>(host >> 16), static_cast<uint8_t>(host >> 8),
                              static_cast<uint8_t>(host)};
    const FlowKey key{IpAddress::from_v4(bytes), Be16::from_host(static_cast<uint16_t>(1024 + i % 60000)), 0};
    const auto location = table.locate(key);
    (void)table.insert(location, key, 0, generation, state);
  }
  dataplane.segment().worker(0).flows[0][0].live = 2 * clients;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  FakeDataplane dataplane(argv[1]);
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "flows") begin_flows(dataplane, static_cast<uint32_t>(std::stoul(argv[2])));
    if (line == "hold") dataplane.hold_still(true);
    if (line == "go on") dataplane.hold_still(false);
    std::cout << line << ": done" << std::endl;
  }
}
