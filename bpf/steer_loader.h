// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Attaches the steering program (steer.bpf.c) to an interface and detaches it.
//
// The program outlives every process. The first start attaches it. Each later start replaces it in place
// (XDP_FLAGS_REPLACE, atomic in the kernel) and keeps its xsks_map with the sockets in it. So the kernel
// never sees a packet of a service. The AF_XDP driver starts without a program of its own: libxdp finds
// Teal's program by the name xsk_def_prog and puts the sockets into its xsks_map.
//
// An attached program is Teal's if its name is xsk_def_prog and it uses maps named xsks_map, vips and
// backends. Any other program is foreign. These functions report it and leave it attached.
//
// - The interface is looked up in the network namespace of the calling thread.
// - pin_dir is a directory on a mounted bpffs, /sys/fs/bpf/INSTANCE. It is made if it is missing.
//   `ip netns exec` hides bpffs; `nsenter --net` does not.
// - The caller needs CAP_NET_ADMIN and CAP_SYS_ADMIN, because this file and libxdp open the attached program
//   by its id.
// - Not thread-safe: each call takes libbpf's log hook, which is global to the process.
// - An error has the messages of libbpf and the kernel. libbpf's other messages go to spdlog's debug level.
#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

namespace teal {

enum class XdpMode { kNative, kGeneric };

struct SteerAttachment {
  XdpMode mode;
  bool replaced;               // Teal's program was attached already; its xsks_map is kept
  uint32_t program_id;         // as `bpftool prog` shows it
  std::string native_refusal;  // why the driver refused native mode; empty if native, or if replaced
};

// `side` is a set of steer_side bits. A first attachment tries native mode, then generic mode. A replacement
// keeps the mode.
tl::expected<SteerAttachment, std::string> attach_steering(const std::string& interface, uint32_t side,
                                                           const std::string& pin_dir);

// Returns false if no program was attached. A foreign program is an error.
tl::expected<bool, std::string> detach_steering(const std::string& interface);

// Removes the pinned maps and the directory. An attached program keeps its maps, but the next attachment and
// teald use new ones. So detach the program from every port first; teald must call SteerMaps::open() again.
// A missing pin_dir is not an error.
tl::expected<void, std::string> unpin_steering(const std::string& pin_dir);

}  // namespace teal
