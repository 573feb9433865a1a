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
  uint16_t backend = 0;  // id, what the table holds
  Socket socket;  // what the permutation follows from, so that several hosts with other ids choose alike
  uint32_t weight = 1;  // 0: not in the table
};

// The smallest prime of a fixed list that is at least 100 x `members`; 0 for no members.
uint32_t maglev_size(uint32_t members);

// table.size() is at least maglev_size(members with weight > 0), and of its list; the order of `members` does
// not matter.
void fill_maglev(std::span<const MaglevMember> members, std::span<uint16_t> table);

}  // namespace teal
