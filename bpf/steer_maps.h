// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// teald's access to the pinned maps of the steering program (steer_map.h). The maps decide which packets go
// to the workers.
//
// A change of the ruleset has three steps, so that the program knows every service that a worker may serve:
//
//   1. add_missing(new set)
//   2. publish, then wait for a grace period
//   3. remove_others(new set)
//
// From step 1 to step 3, the maps hold the union of the old and the new set. They have room for two
// generations. If the publication fails, remove_others(old set) undoes step 1.
//
// A SteerMaps is opened for one change and closed after it. Opening takes a dozen system calls. A process
// that kept a SteerMaps open would write to maps that nobody reads, once `teal-dataplane --detach` has
// removed the pins.
//
// Missing maps are made and pinned, if the caller may (root, CAP_BPF). The program then uses the filled maps
// when it is attached. teald as a service has no such capability: it opens the maps as a member of their
// group.
//
// Thread safety: none. One process writes at a time, as teald holds its lock.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "bpf/bpf_fd.h"
#include "bpf/steer_map.h"

namespace teal {

// The sockets and addresses that the program steers by. Duplicates are allowed. The contents of the address
// maps (vip_addresses, backend_addresses) follow from the sockets.
struct SteerSet {
  std::vector<steer_socket> vips;
  std::vector<steer_socket> backends;
  // The addresses of this host. A VIP may be such an address: the test for the VIP's socket comes first.
  std::vector<steer_address> local_addresses;
};

// Packets by enum steer_verdict, summed over all CPUs and all ports of the instance.
using SteerCounters = std::array<uint64_t, STEER_VERDICT_COUNT>;

class SteerMaps {
 public:
  static tl::expected<SteerMaps, std::string> open(const std::string& pin_dir);

  // Adds the missing entries of `set`. If a map has not enough room, the function returns an error and
  // changes nothing. Only an error of the kernel can leave the change half done.
  tl::expected<void, std::string> add_missing(const SteerSet& set);
  // Removes all entries that are not in `set`. Adds nothing.
  tl::expected<void, std::string> remove_others(const SteerSet& set);

  // Returns the entries of the maps, sorted.
  tl::expected<SteerSet, std::string> contents() const;
  tl::expected<SteerCounters, std::string> counters() const;

 private:
  SteerMaps() = default;

  static constexpr size_t kSets = 5;      // the maps of kPinnedMaps that are sets
  using Keys = std::vector<std::string>;  // the keys of one map as bytes, sorted and without duplicates

  static std::array<Keys, kSets> keys_of(const SteerSet& set);
  tl::expected<Keys, std::string> present(size_t map) const;
  std::string failed(size_t map, const std::string& what) const;  // includes the text of errno

  std::string pin_dir_;
  std::array<BpfFd, kSets> sets_;
  BpfFd counters_;
};

}  // namespace teal
