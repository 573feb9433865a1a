// SPDX-License-Identifier: Apache-2.0
//
// A burst's lookups, beside the stages and some packets ahead of the one whose flow is wanted: what a step
// prefetches comes while the worker is at the packets in between. The steps are FlowTable's: prefetch_tags(),
// guess(), guess_again(). Lines that are asked for all at once wait for each other, so they are asked for one
// after the other:
//
//   classify   packet i: its tags; in a long burst's last packets also guess() of the first ones
//   track      packet i: guess() of i + 24, guess_again() of i + 12
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
        first_beside_(burst.count >= kGuess + kTagsAhead ? burst.count - kGuess : Burst::kCapacity) {}

  const FlowTable& table() const { return table_; }

  // classify: packet i was classified.
  void classified(uint32_t i) const {
    if (i >= first_beside_) guess(burst_.packets[i - first_beside_]);
  }
  // track: before the first step().
  void begin() const {
    if (first_beside_ == Burst::kCapacity)
      for (uint32_t i = 0; i < std::min(kGuess, burst_.count); ++i) guess(burst_.packets[i]);
    for (uint32_t i = 0; i < std::min(kGuessAgain, burst_.count); ++i) guess_again(burst_.packets[i]);
  }
  // track: with one packet after the other. (Behind the burst's last one there are decided ones: burst.h.)
  void step(Packet& next) const {
    guess((&next)[kGuess]);
    guess_again((&next)[kGuessAgain]);
  }

 private:
  // In packets. Farther ahead was slower: what came early was gone from the cache again.
  static constexpr uint32_t kGuess = Burst::kMostAhead, kGuessAgain = kGuess / 2;
  static constexpr uint32_t kTagsAhead = 16;  // that a guess comes after prefetch_tags(), at least

  void guess(Packet& packet) const {
    if (packet.verdict.is_undecided()) packet.flow = table_.guess(packet.place);
  }
  void guess_again(Packet& packet) const {
    if (packet.verdict.is_undecided() && packet.flow == kNoFlow)
      packet.flow = table_.guess_again(packet.place);
  }

  Burst& burst_;
  const FlowTable table_;        // a copy, which no store into a packet may change
  const uint32_t first_beside_;  // from this packet on, classified() guesses
};

}  // namespace teal
