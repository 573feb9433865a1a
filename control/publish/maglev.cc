// SPDX-License-Identifier: Apache-2.0
#include "control/publish/maglev.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <tuple>

#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

namespace {

// The largest primes below 2^8 .. 2^20. Each is about twice the one before, so the table of m members has
// fewer than 200 m + 51 entries: 4,096 sockets in both colours of 1,024 services need at most 1,742,848 of
// kMaglevCapacity.
constexpr uint32_t kPrimes[] = {251,   509,   1021,   2039,   4093,   8191,   16381,
                                32749, 65521, 131071, 262139, 524287, 1048573};
constexpr uint32_t kEntriesPerMember = 100;
static_assert(kMaxBackends * kEntriesPerMember <= kPrimes[std::size(kPrimes) - 1]);

// These are not the keys of flow_key.h, so that the permutations are independent of the hash that places
// flows.
constexpr uint64_t kOffsetKey = 0xa0761d6478bd642f;  // from wyhash's secret
constexpr uint64_t kSkipKey = 0x589965cc75374cc3;    // the same

// Walks the places of a table in the order of one member: offset, offset + skip, ... modulo the prime size.
class Permutation {
 public:
  Permutation(const Socket& socket, uint32_t size) : size_(size) {
    const uint64_t hash = socket_hash(socket);
    at_ = static_cast<uint32_t>(mix(hash ^ kOffsetKey, kSkipKey) % size);
    skip_ = static_cast<uint32_t>(mix(hash ^ kSkipKey, kOffsetKey) % (size - 1)) + 1;
  }
  void take_next_free(std::span<uint16_t> table, uint16_t backend) {
    while (table[at_] != kNoId) step();
    table[at_] = backend;
    step();
  }

 private:
  void step() {
    at_ += skip_;
    if (at_ >= size_) at_ -= size_;
  }

  uint32_t size_, at_, skip_;
};

struct Taker {
  const MaglevMember* member;
  Permutation permutation;
};

// The members of one weight take their turns at the same times: turn k of weight w is at time k / w.
struct WeightClass {
  uint64_t weight;
  uint64_t turn = 1;  // the next
  std::span<Taker> takers;

  bool before(const WeightClass& other) const { return turn * other.weight < other.turn * weight; }
};

bool socket_less(const Socket& a, const Socket& b) {
  const int order = std::memcmp(a.address.bytes, b.address.bytes, sizeof(a.address.bytes));
  if (order != 0) return order < 0;
  return std::tuple(a.port.host(), a.protocol) < std::tuple(b.port.host(), b.protocol);
}

}  // namespace

uint32_t maglev_size(uint32_t members) {
  if (members == 0) return 0;
  const auto* prime = std::lower_bound(std::begin(kPrimes), std::end(kPrimes), members * kEntriesPerMember);
  assert(prime != std::end(kPrimes));
  return *prime;
}

void fill_maglev(std::span<const MaglevMember> members, std::span<uint16_t> table) {
  const auto size = static_cast<uint32_t>(table.size());
  std::vector<Taker> takers;
  takers.reserve(members.size());
  uint64_t total_weight = 0;
  for (const MaglevMember& member : members) {
    if (member.weight == 0) continue;
    takers.push_back({&member, Permutation(member.socket, size)});
    total_weight += member.weight;
  }
  assert(size >= maglev_size(static_cast<uint32_t>(takers.size())));
  if (takers.empty()) return;

  std::sort(takers.begin(), takers.end(), [](const Taker& a, const Taker& b) {
    if (a.member->weight != b.member->weight) return a.member->weight < b.member->weight;
    return socket_less(a.member->socket, b.member->socket);
  });
  std::fill(table.begin(), table.end(), kNoId);
  uint32_t left = size;

  // A weight above 0 promises new flows. A member whose share is less than one entry gets one entry before
  // the other members take turns.
  auto first = takers.begin();
  for (; first != takers.end() && first->member->weight * uint64_t{size} < total_weight; ++first, --left) {
    first->permutation.take_next_free(table, first->member->backend);
  }

  std::vector<WeightClass> classes;
  while (first != takers.end()) {
    const uint32_t weight = first->member->weight;
    const auto end =
        std::find_if(first, takers.end(), [&](const Taker& taker) { return taker.member->weight != weight; });
    classes.push_back({.weight = weight, .takers = std::span(first, end)});
    first = end;
  }

  // A heap with the class that has the next turn in front; usually there is one class. On a tie the lesser
  // weight is first.
  const auto later = [](const WeightClass& a, const WeightClass& b) {
    return b.before(a) || (!a.before(b) && b.weight < a.weight);
  };
  std::make_heap(classes.begin(), classes.end(), later);
  while (left > 0) {
    std::pop_heap(classes.begin(), classes.end(), later);
    WeightClass& next = classes.back();
    for (Taker& taker : next.takers) {
      if (left == 0) break;
      taker.permutation.take_next_free(table, taker.member->backend);
      --left;
    }
    ++next.turn;
    std::push_heap(classes.begin(), classes.end(), later);
  }
}

}  // namespace teal
