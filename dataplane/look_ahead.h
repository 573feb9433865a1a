// SPDX-License-Identifier: Apache-2.0
//
// A burst's lookups, some packets ahead of the one whose flow is wanted: what a step prefetches comes while the
// worker is at the packets in between. The steps are FlowTable's: guess(), guess_again(). Spread like this, the
// lines that packets wait for come one after the other; all asked for at once, they wait for each other.
#pragma once

#include <algorithm>

#include "dataplane/burst.h"

namespace teal {

class LookAhead {
 public:
  // Begins with the first packets.
  LookAhead(Burst& burst, const FlowTable& table) : table_(table) {
    for (uint32_t i = 0; i < std::min(kGuess, burst.count); ++i) guess(burst.packets[i]);
    for (uint32_t i = 0; i < std::min(kGuessAgain, burst.count); ++i) guess_again(burst.packets[i]);
  }

  // Called with one packet after the other. (Behind the burst's last one there are decided ones: burst.h.)
  void step(Packet& next) const {
    guess((&next)[kGuess]);
    guess_again((&next)[kGuessAgain]);
  }

 private:
  // In packets. Farther ahead was slower: what came early was gone from the cache again.
  static constexpr uint32_t kGuess = Burst::kMostAhead, kGuessAgain = kGuess / 2;

  void guess(Packet& packet) const {
    if (packet.verdict.is_undecided()) packet.flow = table_.guess(packet.place);
  }
  void guess_again(Packet& packet) const {
    if (packet.verdict.is_undecided() && packet.flow == kNoFlow) packet.flow = table_.guess_again(packet.place);
  }

  const FlowTable table_;  // a copy, which no store into a packet may change
};

}  // namespace teal
