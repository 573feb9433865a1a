// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/stateless.h"

#include "dataplane/pipeline/choose.h"

namespace teal {

Verdict Stateless::forward_reply(Packet& packet, const Rules& rules) {
  if (!may_be_of_backend(packet, rules)) return Verdict::punt(PuntClass::kFromBackend);
  block_.count(Event::k_stateless);
  constexpr uint8_t kSynAck = kTcpSyn | kTcpAck;
  if ((packet.shape.tcp_flags & kSynAck) == kSynAck) block_.stateless_answers[packet.backend].add(1);
  return leave_by(packet, last_hops_.to_client(kNoLastHop, packet.key.client));
}

bool Stateless::may_be_of_backend(const Packet& packet, const Rules& rules) const {
  if (!may_be_stateless(packet.shape.protocol, rules)) return false;
  const uint16_t backend = packet.backend;
  const Ruleset& ruleset = rules.ruleset;
  const uint16_t service = packet.key.service;
  const uint64_t choice = choice_of(packet, rules, flows_.table().secret());
  // The first choice counts, too: it may have gone down since the client's packet.
  const auto may_be_chosen = [&](Colour colour) {
    return first_choice(ruleset, ruleset.services[service], colour, choice) == backend ||
           choose_backend(header_, ruleset, service, colour, choice).backend == backend;
  };
  return (may_be_chosen(Colour::kBlue) || may_be_chosen(Colour::kGreen)) &&
         !client_is_on_link(header_, packet.key.client, backend, rules);
}

uint16_t Stateless::backend_of_client(const Packet& packet, const Rules& rules) const {
  const uint8_t protocol = packet.shape.protocol;
  if (!may_be_stateless(protocol, rules)) return kNoId;
  const FlowKey& key = packet.key;
  const uint64_t choice = choice_of(packet, rules, flows_.table().secret());
  const TrafficSplit& split = rules.splits.services[key.service];
  const bool before_the_flip = protocol == kProtocolTcp && began_before_the_flip(split, insert_failures_);
  const Colour colour = choose_new_colour(split, choice, before_the_flip, is_preview(packet, rules.ruleset));
  const auto [backend, as] = choose_backend(header_, rules.ruleset, key.service, colour, choice);
  return backend == kNoId || as == ChosenAs::kRejected ||
                 client_is_on_link(header_, key.client, backend, rules)
             ? kNoId
             : backend;
}

// Whether this worker may still have flows without an entry. Such a flow is over, at the latest, when an
// established flow's timeout has passed since the latest failure.
bool Stateless::may_be_stateless(uint8_t protocol, const Rules& rules) const {
  const Timeouts& timeouts = rules.ruleset.timeouts;
  return insert_failures_.within(protocol == kProtocolUdp ? timeouts.udp_established
                                                          : timeouts.tcp_established);
}

}  // namespace teal
