// SPDX-License-Identifier: Apache-2.0
//
// Promise 16: every packet gets exactly one verdict. The fixture checks at the end of each test that as many
// packets were transmitted, punted and dropped as were received, and that no mbuf is missing. Here the
// packets are such as no sane host sends.
#include <algorithm>
#include <random>

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

class Promise16 : public WorkerTest {
 protected:
  static constexpr uint32_t kFrames = 100'000;

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  // Makes a whole packet, mostly of a service, from either side.
  Frame sane() {
    const auto service = static_cast<uint16_t>(below(kServices));
    const Client who = client(service, below(300));
    const auto flags = static_cast<uint8_t>(below(32));
    const std::string payload(below(3) == 0 ? below(1'400) : 0, 'x');
    const auto backend = static_cast<uint16_t>(below(kBackends));
    const auto of_service =
        Client{ruleset_input.backends[backend].service,
               client(ruleset_input.backends[backend].service, below(300)).address, who.port};
    Frame frame =
        below(2) == 0 ? from_client(who, flags, payload) : from_backend(of_service, backend, flags, payload);
    return below(8) == 0 ? icmp_error() : frame;
  }

  // An error about a packet that a client or a backend may have received, or not.
  Frame icmp_error() {
    const NumberedBackend& backend = ruleset_input.backends[below(kBackends)];
    const Client who = client(backend.service, below(600));
    const Socket& vip = ruleset_input.services[backend.service].vip;
    const Socket end{who.address, Be16::from_host(who.port), vip.protocol};
    const bool about_reply = below(2) == 0;
    const Socket& from = about_reply ? vip : end;
    const Socket& to = about_reply ? end : backend.socket;
    PacketBuilder quoted;
    quoted.ip(from.address, to.address);
    from.protocol == kProtocolTcp ? quoted.tcp(from.port.host(), to.port.host())
                                  : quoted.udp(from.port.host(), to.port.host());
    const IpAddress router = *IpAddress::parse(from.address.is_v4() ? "198.18.1.1" : "fd18:1::1");
    return PacketBuilder().ip(router, from.address).icmp_unreachable(quoted.build(), 20 + below(100)).build();
  }

  void mutate(Frame& frame) {
    for (uint32_t changes = below(4); changes > 0; --changes) {
      switch (below(4)) {
        case 0:
          frame[below(static_cast<uint32_t>(frame.size()))] = static_cast<uint8_t>(random_());
          break;
        case 1:
          frame[below(std::min<uint32_t>(60, static_cast<uint32_t>(frame.size())))] ^=
              static_cast<uint8_t>(1u << below(8));
          break;
        case 2:
          frame.resize(1 + below(static_cast<uint32_t>(frame.size())));
          break;
        case 3:
          frame.resize(std::min<size_t>(frame.size() + below(40), 1'514));
          break;
      }
    }
  }

  // Every other time, flows older than the flip are reset from now on.
  void flip_and_reset(uint16_t service) {
    TrafficSplit& split = splits->services[service];
    split.reset_before = below(2) == 0 ? static_cast<uint32_t>(next_generation()) : 0;
    flip({service}, static_cast<Colour>(below(2)));
  }

  void run(uint32_t workers) {
    for (const uint16_t service : {kEcho, kEcho6}) ruleset_input.services[service].udp_cut = true;
    publish();
    for (uint32_t i = 0; i < kFrames; ++i) {
      Frame frame = sane();
      if (below(2) == 0) mutate(frame);
      if (below(50) == 0)
        std::generate(frame.begin(), frame.end(), [&] { return static_cast<uint8_t>(random_()); });
      inject(static_cast<Wire>(below(kWires)), frame, static_cast<uint16_t>(below(kMaxTestWorkers)));
      if (below(100) == 0) flip_and_reset(static_cast<uint16_t>(below(kServices)));
      if (below(100) == 0) let_pass(1);
      if (below(1'000) == 0) {
        settle();
        collect();
        restart(workers);  // and the sweep goes round
      }
      if (below(64) == 0) {
        for (uint32_t worker_index = 0; worker_index < workers; ++worker_index) iterate(worker_index);
        collect();
      }
      if (i % 10'000 == 0) {
        EXPECT_TRUE(ledger_is_exact());
      }
    }
    settle();
    collect();
    EXPECT_GT(count(Event::k_tx), kFrames / 4);
    EXPECT_GT(punts(), kFrames / 20);
  }

  // Checks that each kind of packet came at least once.
  void expect_all_kinds() {
    for (const Event event : {Event::k_icmp_errors, Event::k_reset_probes, Event::k_resets_sent,
                              Event::k_flows_reset, Event::k_flows_cut})
      EXPECT_GT(count(event), 0u) << kEventNames[static_cast<int>(event)];
    for (const DropReason reason :
         {DropReason::k_truncated, DropReason::k_bad_header, DropReason::k_fragment,
          DropReason::k_stale_backend, DropReason::k_icmp_without_flow, DropReason::k_flow_reset})
      EXPECT_GT(count(reason), 0u) << kDropReasonNames[static_cast<int>(reason)];
  }

 private:
  std::mt19937_64 random_{16};
};

TEST_F(Promise16, EachHasOneVerdict) {
  start({.steered = true});
  run(1);
  expect_all_kinds();
}

TEST_F(Promise16, EachHasOneVerdictAmongThreeWorkers) {
  start({.workers = 3, .steered = true});
  run(3);
  expect_all_kinds();
  EXPECT_GT(count(Event::k_handed_over), kFrames / 4);
}

TEST_F(Promise16, EachHasOneVerdictWhenTheTableIsFull) {
  start({.flow_capacity = 1, .partitions = 1, .steered = true});
  run(1);
  EXPECT_GT(count(Event::k_stateless), kFrames / 20);
}

}  // namespace
}  // namespace teal::test
