// SPDX-License-Identifier: Apache-2.0
//
// Consistent hashing by Maglev's lookup table (Eisenbud et al., NSDI 2016, 3.4): each backend fills a table
// of prime size by a permutation of its own, in turns as its weight allows. Adding or removing a backend
// moves few of the other entries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/packet/ip_address.h"

namespace teal {

struct MaglevMember {
  uint16_t backend = 0;  // id; the table holds it
  Socket socket;         // decides the permutation, so that hosts with other ids choose alike
  uint32_t weight = 1;   // 0: not in the table
};

// Returns the smallest prime of a fixed list that is at least 100 x `members`; 0 for no members.
uint32_t maglev_size(uint32_t members);

// Fills the table. Its size must be a prime of the same list, and at least maglev_size(members with weight >
// 0). The order of `members` does not matter.
void fill_maglev(std::span<const MaglevMember> members, std::span<uint16_t> table);

}  // namespace teal
