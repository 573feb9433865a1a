// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Names and shapes of the pinned maps, which all ports of an instance share with teald. They repeat the map
// definitions of steer.bpf.c; a test compares the two. The loader or SteerMaps::open makes a missing map, if
// the process has the rights. Owner and group may read and write the maps (0660).
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "bpf/bpf_fd.h"
#include "bpf/steer_map.h"

namespace teal {

struct MapShape {
  const char* name;  // and the file's name in pin_dir
  bpf_map_type type;
  uint32_t key_bytes;
  uint32_t value_bytes;
  uint32_t max_entries;
};

enum PinnedMap : size_t { kVips, kVipAddresses, kBackends, kBackendAddresses, kLocalAddresses, kCounters };

inline constexpr MapShape kPinnedMaps[] = {
    {"vips", BPF_MAP_TYPE_HASH, sizeof(steer_socket), 4, STEER_MAX_VIPS},
    {"vip_addresses", BPF_MAP_TYPE_HASH, sizeof(steer_address), 4, STEER_MAX_VIPS},
    {"backends", BPF_MAP_TYPE_HASH, sizeof(steer_socket), 4, STEER_MAX_BACKENDS},
    {"backend_addresses", BPF_MAP_TYPE_HASH, sizeof(steer_address), 4, STEER_MAX_BACKENDS},
    {"local_addresses", BPF_MAP_TYPE_HASH, sizeof(steer_address), 4, STEER_MAX_LOCAL_ADDRESSES},
    {"steer_counters", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, STEER_VERDICT_COUNT},
};
inline constexpr size_t kSetCount = kCounters;  // the maps before the counters are sets

// Makes the directory and its parents. Returns an error if the directory is not on a bpffs.
tl::expected<void, std::string> make_pin_dir(const std::string& pin_dir);

// Opens the pinned map of this shape, or makes and pins it. A map of another shape is an error: another
// version of Teal pinned it, and the program that uses it may still be attached and steering.
tl::expected<BpfFd, std::string> open_pinned_map(const std::string& pin_dir, const MapShape& shape);

}  // namespace teal
