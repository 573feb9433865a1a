// SPDX-License-Identifier: Apache-2.0
//
// A burst's lookups, beside the stages and some packets ahead of the one whose flow is wanted: what a step
// prefetches comes while the worker is at the packets in between. The steps are FlowTable's: prefetch_tags(),
// guess(), second_candidate(). Lines that are asked for all at once wait for each other, so they are asked
// for one after the other:
//
//   classify   packet i: its tags; in a long burst's last packets also guess() of the first ones
//   track      packet i: guess() of i + 24, second_candidate() of i + 12
#pragma once

#include <algorithm>

#include "dataplane/pipeline/burst.h"

namespace teal {

class LookAhead {
 public:
  // For the time of a burst, before it is classified.
  LookAhead(Burst& burst, const FlowTable& table)
      : burst_(burst),
        table_(table),
        first_beside_(burst.count >= kFirstCandidateAhead + kTagsAhead ? burst.count - kFirstCandidateAhead
                                                                       : Burst::kCapacity) {}

  const FlowTable& table() const { return table_; }

  // classify: packet i was classified.
  void classified(uint32_t i) const {
    if (i >= first_beside_) first_candidate(burst_.packets[i - first_beside_]);
  }
  // track: before the first step().
  void begin() const {
    if (first_beside_ == Burst::kCapacity)
      for (uint32_t i = 0; i < std::min(kFirstCandidateAhead, burst_.count); ++i)
        first_candidate(burst_.packets[i]);
    for (uint32_t i = 0; i < std::min(kSecondCandidateAhead, burst_.count); ++i)
      second_candidate(burst_.packets[i]);
  }
  // track: with one packet after the other. (Behind the burst's last one there are decided ones: burst.h.)
  void step(Packet& next) const {
    first_candidate((&next)[kFirstCandidateAhead]);
    second_candidate((&next)[kSecondCandidateAhead]);
  }

 private:
  // In packets. Farther ahead was slower: what came early was gone from the cache again.
  static constexpr uint32_t kFirstCandidateAhead = Burst::kMaxAhead,
                            kSecondCandidateAhead = kFirstCandidateAhead / 2;
  static constexpr uint32_t kTagsAhead = 16;  // that a guess comes after prefetch_tags(), at least

  void first_candidate(Packet& packet) const {
    if (packet.verdict.is_undecided()) packet.flow = table_.first_candidate(packet.location);
  }
  void second_candidate(Packet& packet) const {
    if (packet.verdict.is_undecided() && packet.flow == kNoFlow)
      packet.flow = table_.second_candidate(packet.location);
  }

  Burst& burst_;
  const FlowTable table_;        // a copy, which no store into a packet may change
  const uint32_t first_beside_;  // from this packet on, classified() guesses
};

}  // namespace teal
