// SPDX-License-Identifier: Apache-2.0
//
// make_old_segment RUN_DIR: makes a segment with 600 flows, as the release does whose sources it is compiled
// with. make_fixture compiles it with the release before the flows had a file of their own; the present
// sources do not compile it. tests/unit/dataplane/shm/old_release_test.cc knows its contents.
#include <cstdlib>
#include <cstring>

#include "control/publish/ruleset_builder.h"
#include "dataplane/shm/segment.h"

namespace teal {
namespace {

Socket socket_of(const char* text, uint8_t protocol) {
  Socket socket = *parse_socket(text);
  socket.protocol = protocol;
  return socket;
}

RulesetInput rules() {
  RulesetInput input;
  input.timeouts = {300, 36'000, 6'000, 200, 3'000};
  input.reset_rate = 1000;
  NumberedService web{.id = 5, .vip = socket_of("198.18.0.10:80", kProtocolTcp)};
  web.preview = socket_of("198.18.0.11:80", kProtocolTcp);
  NumberedService echo{.id = 9, .vip = socket_of("[fd18::10]:5300", kProtocolUdp)};
  input.services = {web, echo};
  const auto backend = [](uint16_t id, uint16_t service, const Socket& socket, size_t colour) {
    NumberedBackend numbered{.id = id, .service = service, .socket = socket};
    numbered.weights[colour] = 1;
    return numbered;
  };
  input.backends = {backend(20, 5, socket_of("198.18.2.11:8080", kProtocolTcp), 0),
                    backend(21, 5, socket_of("198.18.2.21:8080", kProtocolTcp), 1),
                    backend(30, 9, socket_of("[fd18:2::11]:5300", kProtocolUdp), 0)};
  return input;
}

// Each flow has the client's port as its number, and what follows from it.
void put_flows(Segment& segment, uint16_t last_hop) {
  FlowTable table = segment.flow_table();
  for (uint16_t number = 1; number <= 600; ++number) {
    const bool is_echo = number % 3 == 0;
    FlowKey key{.client = *IpAddress::parse(is_echo ? "fd18:3::103" : "198.18.3.103"),
                .client_port = Be16::from_host(number),
                .service = static_cast<uint16_t>(is_echo ? 9 : 5)};
    FlowState state{.tick = 1000u + number,
                    .last_hop = number % 5 == 0 ? kNoLastHop : last_hop,
                    .preview = !is_echo && number % 7 == 0,
                    .phase = static_cast<FlowPhase>(is_echo ? 1 : number % 7)};
    state.counted = 1;
    state.flags = static_cast<uint8_t>(is_echo ? kFlowUdp : number % 2);
    const uint16_t backend = is_echo ? 30 : number % 2 == 0 ? 20 : 21;
    if (table.insert(table.locate(key), key, backend, number, state) == kNoFlow) std::abort();
  }
}

void make(const char* run_dir) {
  Segment::Options options;
  options.run_dir = run_dir;
  options.flow_capacity = 1000;
  options.hash_seed = 42;
  options.try_huge_pages = false;
  auto opened = Segment::open_or_create(options);
  Segment& segment = opened->segment;
  std::strcpy(segment.header().ports[0].name, "front");
  std::strcpy(segment.header().ports[1].name, "back");
  const Hop hop{.port = 0, .mac = {{2, 0, 0, 0, 1, 2}}};
  put_flows(segment, *last_hop_id(segment.header(), hop));
  if (!build_ruleset(rules(), segment.ruleset(1))) std::abort();
  segment.header().word.store(PublicationWord{.generation = 700, .ruleset_slot = 1, .split_slot = 3}.pack());
}

}  // namespace
}  // namespace teal

int main(int, char** argv) {
  teal::make(argv[1]);
}
