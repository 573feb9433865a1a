// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// teald's hand on the pinned maps of the steering program (steer_map.h): which packets go to the workers.
//
// A change of the ruleset is made in three steps, so that no packet of a service ever meets a program that
// does not know it:
//   add_missing(new set)  ->  publish, wait for a grace period  ->  remove_others(new set)
// Between the first and the last step the maps hold the union of the old and the new set; they have room for
// two generations. If the publication fails, remove_others(old set) undoes the first step.
//
// Open it anew for each change and drop it after: it costs a dozen system calls, and a process that holds on
// to it would write to maps nobody reads after `teal-dataplane --detach` has removed the pins. Maps that are
// missing are made and pinned where the caller may (root, CAP_BPF): the program then finds them filled when
// it is attached. teald as a service has no capability for it and needs none: it is of the maps' group.
//
// One process writes at a time (teald holds its lock). Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "bpf/bpf_fd.h"
#include "bpf/steer_map.h"

namespace teal {

// What the program is to know. Duplicates are allowed. The address maps (vip_addresses, backend_addresses)
// follow from the sockets and are not named here.
struct SteerSet {
  std::vector<steer_socket> vips;
  std::vector<steer_socket> backends;
  std::vector<steer_address>
      local_addresses;  // of this host, VIPs may be among them: a VIP's socket comes first
};

// Packets by enum steer_verdict, summed over CPUs and over the ports of the instance.
using SteerCounters = std::array<uint64_t, STEER_VERDICT_COUNT>;

class SteerMaps {
 public:
  static tl::expected<SteerMaps, std::string> open(const std::string& pin_dir);

  // Either all of `set` is in the maps afterwards, or (too many for a map) nothing was changed; only an error
  // of the kernel itself leaves a part behind.
  tl::expected<void, std::string> add_missing(const SteerSet& set);
  // Removes what is not in `set`. It adds nothing.
  tl::expected<void, std::string> remove_others(const SteerSet& set);

  // What the maps hold now, sorted.
  tl::expected<SteerSet, std::string> contents() const;
  tl::expected<SteerCounters, std::string> counters() const;

 private:
  SteerMaps() = default;

  static constexpr size_t kSets = 5;      // the maps of kPinnedMaps that are sets
  using Keys = std::vector<std::string>;  // of one map, as bytes, sorted and without duplicates

  static std::array<Keys, kSets> keys_of(const SteerSet& set);
  tl::expected<Keys, std::string> present(size_t map) const;
  std::string failed(size_t map, const std::string& what) const;  // with errno in it

  std::string pin_dir_;
  std::array<BpfFd, kSets> sets_;
  BpfFd counters_;
};

}  // namespace teal
