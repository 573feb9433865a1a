// SPDX-License-Identifier: Apache-2.0
//
// Compares the worker with the plainest model: a map from flow to backend and phase. Random packets come from
// both sides of 200 tuples, to the VIP and to the preview address. Flips, rollbacks, previews, changes of
// weights, unknown next hops and resets of flows come in between. Each packet must leave as the model says.
#include <algorithm>
#include <random>
#include <unordered_map>

#include "tests/support/rounds.h"
#include "tests/unit/dataplane/pipeline/model_flow.h"
#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

constexpr uint32_t kTuples = 200;  // a quarter for each service
constexpr uint32_t kOperations = rounds(50'000);

class ModelTest : public WorkerTest {
 protected:
  struct Expected {
    Fate fate;
    Client who;
    uint16_t backend;  // kNoId: a new one, of this colour
    Colour colour;
  };

  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }
  static Client tuple(uint32_t number) { return client(static_cast<uint16_t>(number % kServices), number); }
  bool is_tcp(uint32_t number) const {
    return ruleset_input.services[number % kServices].vip.protocol == kProtocolTcp;
  }

  uint8_t random_flags() {
    static constexpr uint8_t kUsual[] = {kSyn, kSyn, kAck, kAck, kAck, kSynAck, kFin, kFin, kRst, kRstAck};
    return kUsual[below(sizeof(kUsual))];
  }

  Expected client_packet(const Client& who, uint32_t number, uint8_t flags, bool data) {
    const TrafficSplit& split = splits->services[who.service];
    auto found = model_.find(number);
    if (found != model_.end() && found->second.to_preview != who.to_preview) {
      const ModelFlow& flow = found->second;
      const bool over = is_tcp(number) && flow.is_over();
      const bool gives_way = flow.to_preview && flow.unassured;
      if ((is_tcp(number) && flags != kSyn) || (!over && !gives_way)) return {Fate::kInUse, who, kNoId, {}};
      model_.erase(found);
      found = model_.end();
    }
    if (found != model_.end() && ends_before_client_packet(number, found->second, flags)) {
      chosen_again_ += is_tcp(number) && is_chosen_again(number, found->second);
      model_.erase(found);
      found = model_.end();
    }
    if (found == model_.end()) {
      const bool midstream = is_tcp(number) && flags != kSyn;
      const bool before_the_flip = midstream && split.drain_ticks != 0;
      const Colour colour = before_the_flip ? split.previous : split.active;
      const auto now = static_cast<uint32_t>(next_generation() - 1);
      const bool rst = is_tcp(number) && (flags & kTcpRst) != 0;
      if (rst && who.to_preview) return {Fate::kNoPreview, who, kNoId, {}};
      if (!rst)
        model_[number] = {kNoId, FlowPhase::kEmbryonic, true,
                          before_the_flip ? split.flip_generation - 1 : now, who.to_preview};
      return {Fate::kToBackend, who, kNoId, is_previewed(number, who.to_preview) ? other(colour) : colour};
    }
    if (found->second.is_reset()) return reset_packet(number, false, flags);
    if (is_tcp(number) && flags == kSyn && is_held(number, found->second))
      return {Fate::kHeld, who, found->second.backend, {}};
    move(found->second, is_tcp(number), false, event_of(flags, data));
    return {Fate::kToBackend, who, found->second.backend, {}};
  }

  Expected backend_packet(uint32_t number, uint16_t backend, uint8_t flags, bool data) {
    const Client who = tuple(number);
    const auto found = model_.find(number);
    if (found == model_.end()) return {Fate::kPunted, who, backend, {}};
    if (found->second.backend != backend)
      return {is_tcp(number) ? Fate::kStale : Fate::kToClient, who, backend, {}};
    if (found->second.is_reset()) return reset_packet(number, true, flags);
    if (flags == kRstAck && found->second.syn_passes) {  // the frames have the number 0
      found->second.phase = FlowPhase::kReset;
      found->second.syn_passes = false;
      return {Fate::kRefusal, who, backend, {}};
    }
    if (flags == kSynAck && found->second.syn_passes) {
      found->second.phase = FlowPhase::kReset;
      return {Fate::kAnswered, who, backend, {}};
    }
    move(found->second, is_tcp(number), true, event_of(flags, data));
    return {Fate::kToClient, who, backend, {}};
  }

  bool would_go_elsewhere(uint32_t number, const ModelFlow& flow) const {
    Client who = tuple(number);
    who.to_preview = flow.to_preview;
    return flow.backend != chosen_backend(who, colour_now(number, flow.to_preview));
  }
  bool is_without_proof(uint32_t number, const ModelFlow& flow) const {
    return flow.phase == FlowPhase::kReset && flow.has_only_shaken_hands() && !flow.is_reset() &&
           would_go_elsewhere(number, flow);
  }

  // Returns true if a SYN on a live flow is dropped.
  bool is_held(uint32_t number, ModelFlow& flow) {
    if (flow.unassured) return false;
    if (!would_go_elsewhere(number, flow)) {
      flow.syn_passes = false;
      return false;
    }
    if (flow.has_only_shaken_hands()) return false;
    if (flow.phase == FlowPhase::kBackendFin) flow.syn_passes = true;
    if (flow.syn_passes) return false;
    flow.rst_of_client = false;
    flow.client_fin = flow.phase == FlowPhase::kClientFin;
    flow.phase = FlowPhase::kAsked;
    return true;
  }

  // The backend answers the probe if one has left.
  void answer_probe(uint32_t number) {
    const std::vector<Sent> asks = take_asks();
    const auto found = model_.find(number);
    const bool asked = found != model_.end() && found->second.phase == FlowPhase::kAsked;
    ASSERT_TRUE(asked || asks.empty()) << "tuple " << number;
    if (!asked) return;
    ModelFlow& flow = found->second;
    if (asks.empty()) {  // the backend has just answered: the sweep would ask later
      ASSERT_LT(now_tick() - flow.alive_at, kProbeTicks) << "tuple " << number;
      ++postponed_;
      pass(kBack, from_backend(tuple(number), flow.backend, kRst));
      move(flow, true, true, FlowEvent::kRst);
      return compare(number);
    }
    const bool alive = below(2) == 0;
    ASSERT_TRUE(drops(DropReason::k_ask_answer, kBack, answer_to(asks[0], alive))) << "tuple " << number;
    flow.answered |= alive;
    flow.phase = !alive            ? FlowPhase::kReset
                 : flow.client_fin ? FlowPhase::kClientFin
                                   : FlowPhase::kEstablished;
    flow.syn_passes = alive && !flow.rst_of_client;
    flow.alive_at = alive ? now_tick() : 0;
    flow.rst_of_client = false;
    ++answered_;
    compare(number);
  }

  bool is_previewed(uint32_t number, bool to_preview) const {
    return to_preview || previewed_clients_[number % kServices][number % kAddresses];
  }
  // The colour of a new flow that begins now with a SYN or over UDP.
  Colour colour_now(uint32_t number, bool to_preview) const {
    const Colour active = splits->services[number % kServices].active;
    return is_previewed(number, to_preview) ? other(active) : active;
  }

  bool ends_before_client_packet(uint32_t number, const ModelFlow& flow, uint8_t flags) const {
    const TrafficSplit& split = splits->services[number % kServices];
    if (is_tcp(number))
      return flags == kSyn &&
             ((flow.is_over() && !is_without_proof(number, flow)) || is_chosen_again(number, flow));
    return ruleset_input.services[ruleset_input.backends[flow.backend].service].udp_cut &&
           colour_of(flow.backend) != colour_now(number, flow.to_preview) &&
           flow.birth_generation < split.flip_generation;
  }

  // Whether a SYN chooses the flow again.
  bool is_chosen_again(uint32_t number, const ModelFlow& flow) const {
    return flow.is_unanswered() &&
           (colour_of(flow.backend) != colour_now(number, flow.to_preview) || !takes_new_flows(flow.backend));
  }
  bool takes_new_flows(uint16_t backend) const {
    return ruleset_input.backends[backend].weights[static_cast<int>(colour_of(backend))] != 0u;
  }

  // Only a RST passes.
  Expected reset_packet(uint32_t number, bool from_backend, uint8_t flags) {
    ModelFlow& flow = model_[number];
    const bool rst = flags & kTcpRst;
    if (!rst && (flags & kTcpAck) == 0) return {Fate::kDropped, tuple(number), flow.backend, {}};
    (from_backend ? flow.backend_reset : flow.client_reset) = true;
    if (rst || (flow.client_reset && flow.backend_reset)) flow.phase = FlowPhase::kReset;
    if (!rst) return {Fate::kAnswered, tuple(number), flow.backend, {}};
    flow.answered |= from_backend;
    return {from_backend ? Fate::kToClient : Fate::kToBackend, tuple(number), flow.backend, {}};
  }

  // A drain ends by reset: one round of the sweep begins to reset its flows. Then the operator withdraws the
  // reset, and the ends of the flows that are being reset send packets until all of these flows are over.
  void reset_round(uint32_t workers) {
    const auto service = static_cast<uint16_t>(below(kServices));
    TrafficSplit& split = splits->services[service];
    const auto next = static_cast<uint32_t>(next_generation());
    split.reset_before = next - std::min(below(30), next - 1);
    publish_splits();
    settle();
    restart(workers);
    settle();
    uint32_t probes = 0;
    for (uint32_t number = 0; number < kTuples; ++number) {
      const auto found = model_.find(number);
      if (found == model_.end() || number % kServices != service) continue;
      ModelFlow& flow = found->second;
      if (is_closing(flow.phase) || flow.phase == FlowPhase::kResetting ||
          colour_of(flow.backend) == split.active || flow.birth_generation >= split.reset_before)
        continue;
      if (!is_tcp(number) || flow.is_unanswered()) {
        model_.erase(found);
      } else {
        flow.phase = FlowPhase::kResetting;
        probes += 2;
      }
    }
    EXPECT_EQ(collect().size(), probes);
    split.reset_before = 0;
    publish_splits();
    settle();
    for (uint32_t number = 0; number < kTuples; ++number) {
      while (model_.contains(number) && model_[number].phase == FlowPhase::kResetting && !HasFatalFailure())
        step(static_cast<uint16_t>(below(kMaxTestWorkers)), number);
    }
  }

  // Passes one packet, and compares what leaves with the model.
  void step(uint16_t queue, uint32_t number) {
    pass_one(queue, number);
    if (!HasFatalFailure()) answer_probe(number);
  }

  void pass_one(uint16_t queue, uint32_t number) {
    Client who = tuple(number);
    if (const auto found = model_.find(number); found != model_.end())
      who.to_preview = found->second.to_preview;
    if (below(10) == 0) who.to_preview = !who.to_preview;
    const uint8_t flags = random_flags();
    const bool data = below(3) == 0;
    const std::string payload = data ? "data" : "";
    if (below(2) == 0) {
      const Expected expected = client_packet(who, number, flags, data);
      const uint64_t in_use = count(DropReason::k_tuple_in_use), no_preview = count(DropReason::k_no_preview);
      const Sent sent = pass(kFront, from_client(who, flags, payload), queue);
      ASSERT_EQ(count(DropReason::k_tuple_in_use) - in_use, expected.fate == Fate::kInUse) << number;
      ASSERT_EQ(count(DropReason::k_no_preview) - no_preview, expected.fate == Fate::kNoPreview) << number;
      if (expected.fate == Fate::kInUse || expected.fate == Fate::kNoPreview) return compare(number);
      if (expected.fate == Fate::kHeld) {
        ASSERT_EQ(sent.port, kNowhere) << "tuple " << number;
        return compare(number);
      }
      if (expected.fate == Fate::kAnswered) {
        ASSERT_TRUE(is_answer(sent, kFront, address_of(who))) << "tuple " << number;
        return compare(number);
      }
      const uint16_t backend = backend_of(sent);
      ASSERT_NE(backend, kNoId);
      EXPECT_TRUE(checksums_are_right(sent.frame));
      if (expected.backend != kNoId) {
        ASSERT_EQ(backend, expected.backend) << "tuple " << number;
      } else {
        ASSERT_EQ(colour_of(backend), expected.colour) << "tuple " << number;
        ASSERT_EQ(ruleset_input.backends[backend].service, who.service);
        ASSERT_TRUE(takes_new_flows(backend));
        if (const auto made = model_.find(number); made != model_.end()) made->second.backend = backend;
      }
    } else {
      const auto found = model_.find(number);
      uint16_t backend = found != model_.end() && below(10) != 0 ? found->second.backend
                                                                 : static_cast<uint16_t>(below(kBackends));
      if (ruleset_input.backends[backend].service != who.service) return;
      const Expected expected = backend_packet(number, backend, flags, data);
      const uint64_t punted = punts(), stale = count(DropReason::k_stale_backend),
                     dropped = count(DropReason::k_flow_reset);
      const Sent sent = pass(kBack, from_backend(who, backend, flags, payload), queue);
      if (expected.fate == Fate::kAnswered) {
        ASSERT_TRUE(is_answer(sent, kBack, {who.address, Be16::from_host(who.port)})) << "tuple " << number;
        return compare(number);
      }
      ASSERT_EQ(sent.port == kFront, expected.fate == Fate::kToClient) << "tuple " << number;
      EXPECT_EQ(count(DropReason::k_flow_reset) - dropped, expected.fate == Fate::kDropped);
      EXPECT_EQ(punts() - punted, expected.fate == Fate::kPunted);
      EXPECT_EQ(count(DropReason::k_stale_backend) - stale, expected.fate == Fate::kStale);
      if (sent.port == kFront) {
        who.to_preview = found->second.to_preview;
        EXPECT_EQ(sent.from(), to_string(address_of(who))) << "tuple " << number;
        EXPECT_TRUE(checksums_are_right(sent.frame));
      }
    }
    compare(number);
  }

  // Passes a packet that would begin a flow on a backend that cannot be reached: no flow begins. A TCP flow
  // stays, and an unanswered one gets the packet.
  void step_to_an_unknown_hop(uint32_t number) {
    Client who = tuple(number);
    const auto found = model_.find(number);
    const bool held = found != model_.end();
    who.to_preview = held && found->second.to_preview;
    if (held && !ends_before_client_packet(number, found->second, kSyn)) return;
    std::atomic<uint64_t>& hop = header().next_hops[chosen_backend(who, colour_now(number, who.to_preview))];
    const uint64_t known = hop.exchange(Hop::kNone);
    if (held && is_tcp(number) && is_chosen_again(number, found->second)) {
      EXPECT_EQ(send_from_client(who, kSyn), found->second.backend) << "tuple " << number;
      ++stayed_;
    } else {
      EXPECT_TRUE(drops(DropReason::k_no_next_hop, kFront, from_client(who, kSyn))) << "tuple " << number;
      if (!is_tcp(number)) model_.erase(number);  // the cut flow
    }
    hop.store(known);
    compare(number);
  }

  static bool is_answer(const Sent& sent, uint16_t port, const Socket& from) {
    return sent.port == port && sent.from() == to_string(from) && checksums_are_right(sent.frame) &&
           parse(sent.frame.data(), static_cast<uint32_t>(sent.frame.size())).tcp_flags == kTcpRst;
  }

  void compare(uint32_t number) {
    const Client who = tuple(number);
    const auto found = model_.find(number);
    ASSERT_EQ(phase_of(who), found == model_.end() ? std::nullopt : std::optional(found->second.phase))
        << "tuple " << number;
    ASSERT_EQ(is_unassured(who), found != model_.end() && found->second.unassured) << "tuple " << number;
  }

  void change_weights() {
    for (NumberedBackend& backend : ruleset_input.backends) {
      auto& weight = backend.weights[static_cast<int>(colour_of(backend.id))];
      const bool alone = backend.service == kWeb6 || backend.service == kEcho6;
      if (backend.id % 2 == 0) weight = alone ? 1 + below(5) : below(5);  // the pool is never empty
    }
    publish();
    settle();
  }

  // Other clients of a service get its idle colour.
  void change_preview() {
    const uint32_t service = below(kServices);
    std::vector<IpPrefix>& clients = ruleset_input.services[service].preview_clients;
    clients.clear();
    for (uint32_t address = 0; address < kAddresses; ++address) {
      previewed_clients_[service][address] = below(3) == 0;
      if (previewed_clients_[service][address])
        clients.push_back({client(static_cast<uint16_t>(service), address).address});
    }
    publish();
    settle();
  }

  void run(uint32_t workers) {
    ruleset_input.services[kEcho].udp_cut = true;
    ruleset_input.timeouts.tcp_closed = ruleset_input.timeouts.tcp_established;  // nothing ages here
    start({.workers = workers, .flow_capacity = 2'000});
    for (uint32_t i = 0; i < kOperations && !HasFatalFailure(); ++i) {
      step(static_cast<uint16_t>(below(kMaxTestWorkers)), below(kTuples));
      if (below(100) == 0) let_pass(1);
      if (below(200) == 0)
        flip({static_cast<uint16_t>(below(kServices)), static_cast<uint16_t>(below(kServices))},
             static_cast<Colour>(below(2)));
      if (below(500) == 0) change_weights();
      if (below(300) == 0) change_preview();
      if (below(20) == 0) step_to_an_unknown_hop(below(kTuples));
      if (below(500) == 0) reset_round(workers);
      if (i % 5'000 == 0) {
        EXPECT_TRUE(ledger_is_exact());
      }
    }
    EXPECT_EQ(flows(), model_.size());
    EXPECT_EQ(count(Event::k_wrong_colour_flows), 0u);
    EXPECT_EQ(count(Event::k_stateless), 0u);
    EXPECT_GT(count(Event::k_flows_reset), kOperations / 500);
    EXPECT_GT(count(Event::k_flows_cut), kOperations / 500);
    EXPECT_GT(chosen_again_, kOperations / 1'000);
    EXPECT_GT(count(DropReason::k_tuple_in_use), kOperations / 500);
    EXPECT_GT(stayed_, kOperations / 5'000);
    EXPECT_GT(answered_, kOperations / 500);
    EXPECT_GT(postponed_, kOperations / 10'000);
  }

 private:
  static constexpr uint32_t kAddresses = 4;  // of the tuples' clients

  std::unordered_map<uint32_t, ModelFlow> model_;
  bool previewed_clients_[kServices][kAddresses] = {};
  uint32_t chosen_again_ = 0, stayed_ = 0, answered_ = 0, postponed_ = 0;
  std::mt19937_64 random_{1};
};

using Model = ModelTest;

TEST_F(Model, EachPacketLeavesAsTheModelSays) {
  run(1);
}

TEST_F(Model, EachPacketLeavesAsTheModelSaysAmongThreeWorkers) {
  run(3);
}

}  // namespace
}  // namespace teal::test
