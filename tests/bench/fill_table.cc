// SPDX-License-Identifier: Apache-2.0
//
// Fills the flow table of a segment with established UDP flows to backend 0, faster than packets could do it,
// for scripts/bench scale. No dataplane may run at the same time; the next one counts the flows when it
// starts. The clients are in 11.0.0.0/8, which no other traffic source uses.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "dataplane/shm/segment.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {
namespace {

FlowKey key_of(uint64_t number, uint16_t service) {
  const uint32_t address = __builtin_bswap32(11u << 24 | static_cast<uint32_t>(number & 0xff'ffff));
  return {IpAddress::from_v4(&address), Be16::from_host(static_cast<uint16_t>(1024 + (number >> 24))),
          service};
}

int fill(const char* run_dir, uint64_t flows) {
  auto segment = Segment::attach(run_dir);
  if (!segment) {
    std::cerr << "fill_table: " << run_dir << ": " << segment.error() << '\n';
    return 1;
  }
  FlowTable table = segment->flow_table();
  const auto word = PublicationWord::unpack(segment->header().word.load(std::memory_order_acquire));
  const BackendRule& backend = segment->ruleset(word.ruleset_slot).backends[0];
  if ((backend.flags & kBackendPresent) == 0) {
    std::cerr << "fill_table: " << run_dir << ": the published ruleset has no backend 0\n";
    return 1;
  }
  const FlowState state{
      .tick = static_cast<uint32_t>(now_ticks()), .phase = FlowPhase::kEstablished, .flags = kFlowUdp};
  uint64_t refused = 0;
  for (uint64_t number = 0; number < flows; ++number) {
    const FlowKey key = key_of(number, backend.service);
    refused +=
        table.insert(table.locate(key), key, 0, static_cast<uint32_t>(word.generation), state) == kNoFlow;
  }
  std::printf("%llu flows, %llu refused\n", static_cast<unsigned long long>(flows - refused),
              static_cast<unsigned long long>(refused));
  return refused == 0 ? 0 : 1;
}

}  // namespace
}  // namespace teal

int main(int argc, char** argv) {
  uint64_t flows = 0;
  if (argc != 3 || std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), flows).ec != std::errc{}) {
    std::cerr << "usage: fill_table RUN_DIR FLOWS\n";
    return 2;
  }
  return teal::fill(argv[1], flows);
}
