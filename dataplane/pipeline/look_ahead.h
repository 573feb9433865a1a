// SPDX-License-Identifier: Apache-2.0
//
// The lookups of a burst run beside the stages, some packets ahead of the packet whose flow is wanted: the
// lines that a lookup prefetches arrive while the worker treats the packets in between. A lookup has the
// steps of FlowTable: prefetch_tags(), first_candidate(), second_candidate(). Lines that are asked for all at
// once wait for each other, so the steps are spread:
//
//   classify   packet i: its tags. Beside a long burst's last packets: first_candidate() of the first ones.
//   track      packet i: first_candidate() of i + 24, second_candidate() of i + 12.
#pragma once

#include <algorithm>

#include "dataplane/pipeline/burst.h"

namespace teal {

class LookAhead {
 public:
  // Made for one burst, before it is classified.
  LookAhead(Burst& burst, const FlowTable& table)
      : burst_(burst),
        table_(table),
        first_beside_(burst.count >= kFirstCandidateAhead + kTagsAhead ? burst.count - kFirstCandidateAhead
                                                                       : Burst::kCapacity) {}

  const FlowTable& table() const { return table_; }

  // For classify, after packet i.
  void classified(uint32_t i) const {
    if (i >= first_beside_) first_candidate(burst_.packets[i - first_beside_]);
  }
  // Track calls this before the first step().
  void begin() const {
    if (first_beside_ == Burst::kCapacity)
      for (uint32_t i = 0; i < std::min(kFirstCandidateAhead, burst_.count); ++i)
        first_candidate(burst_.packets[i]);
    for (uint32_t i = 0; i < std::min(kSecondCandidateAhead, burst_.count); ++i)
      second_candidate(burst_.packets[i]);
  }
  // Track calls this before each packet in turn. (Rows past the burst's last are decided: burst.h.)
  void step(Packet& next) const {
    first_candidate((&next)[kFirstCandidateAhead]);
    second_candidate((&next)[kSecondCandidateAhead]);
  }

  // For track, when a slot was emptied: candidates that name this slot are stale.
  void forget(FlowIndex emptied) const {
    for (Packet& packet : burst_.all()) {
      if (packet.verdict.is_undecided() && packet.flow == emptied) packet.flow = kNoFlow;
    }
  }

 private:
  // In packets. Farther ahead was slower: lines that came early had left the cache again.
  static constexpr uint32_t kFirstCandidateAhead = Burst::kMaxAhead,
                            kSecondCandidateAhead = kFirstCandidateAhead / 2;
  static constexpr uint32_t kTagsAhead = 16;  // first_candidate() comes so many packets after prefetch_tags()

  void first_candidate(Packet& packet) const {
    if (packet.verdict.is_undecided()) packet.flow = table_.first_candidate(packet.location);
  }
  void second_candidate(Packet& packet) const {
    if (packet.verdict.is_undecided() && packet.flow == kNoFlow)
      packet.flow = table_.second_candidate(packet.location);
  }

  Burst& burst_;
  const FlowTable table_;        // a copy: the compiler knows that no store into a packet changes it
  const uint32_t first_beside_;  // from this packet on, classified() looks for first candidates
};

}  // namespace teal
