// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Through this class teald writes the pinned maps of the steering program (steer_map.h). The maps decide
// which packets go to the workers.
//
// A change of the ruleset takes three steps, so that the program always knows every service whose packets can
// arrive:
//
//   1. add_missing(new set)
//   2. publish, and wait for a grace period
//   3. remove_others(new set)
//
// Between the first and the last step the maps hold the union of both sets; they have room for two
// generations. If the publication fails, remove_others(old set) undoes the first step.
//
// - Open it for each change and drop it afterwards. This costs a dozen system calls. After
//   `teal-dataplane --detach` has removed the pins, an object that is kept would write to maps without a
//   reader.
// - open() makes and pins missing maps if the caller may (root, CAP_BPF). The program finds them filled when
//   it is attached. As a service, teald needs no capability: it is in the maps' group.
// - One process writes at a time: teald holds its lock. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "bpf/bpf_fd.h"
#include "bpf/steer_map.h"

namespace teal {

// The contents of the maps. Duplicates are allowed. The address maps (vip_addresses, backend_addresses)
// follow from the sockets.
struct SteerSet {
  std::vector<steer_socket> vips;
  std::vector<steer_socket> backends;
  // The host's addresses. A VIP may be one of them: the program tests a VIP's socket first.
  std::vector<steer_address> local_addresses;
};

// Packets by enum steer_verdict, summed over CPUs and over the ports of the instance.
using SteerCounters = std::array<uint64_t, STEER_VERDICT_COUNT>;

class SteerMaps {
 public:
  static tl::expected<SteerMaps, std::string> open(const std::string& pin_dir);

  // Adds the entries of `set` that are missing. Changes nothing if they do not fit. An error of the kernel
  // may leave some of them added.
  tl::expected<void, std::string> add_missing(const SteerSet& set);
  // Removes all entries that are not in `set`. Adds none.
  tl::expected<void, std::string> remove_others(const SteerSet& set);

  // Returns the current contents, sorted.
  tl::expected<SteerSet, std::string> contents() const;
  tl::expected<SteerCounters, std::string> counters() const;

 private:
  SteerMaps() = default;

  static constexpr size_t kSets = 5;      // the maps of kPinnedMaps that are sets
  using Keys = std::vector<std::string>;  // the keys of a map as bytes, sorted, without duplicates

  static std::array<Keys, kSets> keys_of(const SteerSet& set);
  tl::expected<Keys, std::string> present(size_t map) const;
  std::string failed(size_t map, const std::string& what) const;  // an error with errno's text

  std::string pin_dir_;
  std::array<BpfFd, kSets> sets_;
  BpfFd counters_;
};

}  // namespace teal
