// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Puts the steering program (steer.bpf.c) on an interface and takes it off.
//
// The program outlives every process: it is attached once, and each later start replaces it in place
// (XDP_FLAGS_REPLACE, atomic in the kernel) and hands on its xsks_map, with whatever sockets are in it. There
// is no moment in which the kernel sees a packet that is for a service. The AF_XDP driver is started without
// a program of its own: libxdp finds ours by the name xsk_def_prog and puts its sockets into our xsks_map.
//
// What is attached counts as ours if its name is xsk_def_prog and it uses maps named xsks_map, vips and
// backends. Anything else is foreign, and is never touched.
//
// The interface is looked up in the network namespace of the calling thread. pin_dir is a directory of a
// mounted bpffs, /sys/fs/bpf/INSTANCE, and is made if it is missing; note that `ip netns exec` hides bpffs
// and `nsenter --net` does not. Needs CAP_NET_ADMIN, and CAP_SYS_ADMIN: what is attached
// is opened by its id, here and in libxdp.
//
// Not for use by two threads at once: libbpf's log hook is global to the process and is taken for the time of
// a call. Errors are full sentences with what libbpf and the kernel had to say; libbpf's other messages go to
// spdlog's debug.
#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

namespace teal {

enum class XdpMode { kNative, kGeneric };

struct SteerAttachment {
  XdpMode mode;
  bool replaced;               // ours was attached already, and its xsks_map is kept
  uint32_t program_id;         // as `bpftool prog` shows it
  std::string native_refusal;  // kGeneric and not replaced: why the driver refused native mode; else empty
};

// `side` is a set of steer_side bits. A first attachment tries native mode, then generic; a replacement keeps
// the mode.
tl::expected<SteerAttachment, std::string> attach_steering(const std::string& interface, uint32_t side,
                                                           const std::string& pin_dir);

// False: nothing was attached. A foreign program is an error.
tl::expected<bool, std::string> detach_steering(const std::string& interface);

// Removes the pinned maps and the directory. Attached programs keep their maps, but a later attachment and
// teald get new ones: take the program off every port first, and have teald call SteerMaps::open again. A
// missing pin_dir is no error.
tl::expected<void, std::string> unpin_steering(const std::string& pin_dir);

}  // namespace teal
