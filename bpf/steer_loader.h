// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Attaches the steering program (steer.bpf.c) to an interface and detaches it.
//
// The program outlives every process. The first start attaches it. Each later start replaces it in place
// (XDP_FLAGS_REPLACE, atomic in the kernel) and passes on its xsks_map with the sockets in it. So the kernel
// never sees a packet that belongs to a service. The AF_XDP driver loads no program of its own: libxdp finds
// Teal's by the name xsk_def_prog and puts its sockets into Teal's xsks_map.
//
// An attached program counts as Teal's if its name is xsk_def_prog and it uses maps named xsks_map, vips and
// backends. Any other program is foreign, and these functions never change it.
//
// The interface is looked up in the network namespace of the calling thread. pin_dir is a directory of a
// mounted bpffs, /sys/fs/bpf/INSTANCE, and is made if it is missing. `ip netns exec` hides bpffs, `nsenter
// --net` does not. The functions need CAP_NET_ADMIN, and CAP_SYS_ADMIN to open an attached program by its id,
// here and in libxdp.
//
// Thread safety: only one thread at a time may call it. libbpf's log hook is global to the process, and a
// call replaces it while it runs. Errors are full sentences that include the messages of libbpf and the
// kernel. Other messages of libbpf go to spdlog's debug level.
#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "bpf/steer_map.h"

namespace teal {

enum class XdpMode { kNative, kGeneric };

struct SteerAttachment {
  XdpMode mode;
  bool replaced;               // Teal's program was attached already, and its xsks_map is kept
  uint32_t program_id;         // the id that `bpftool prog` shows
  std::string native_refusal;  // why the driver refused native mode; "" unless kGeneric and not replaced
};

// Attaches or replaces the program. `side` is a set of steer_side bits, and `mac` is the interface's MAC
// address. A first attachment tries native mode, then generic mode. A replacement keeps the mode: an
// interface has only one mode at a time, and during the change the kernel would receive packets of services.
tl::expected<SteerAttachment, std::string> attach_steering(const std::string& interface, uint32_t side,
                                                           const steer_mac& mac, const std::string& pin_dir);

// Tells the attached program that the interface has another MAC address. Frames to the former one go to the
// kernel from then on. A foreign program, or none, is an error.
tl::expected<void, std::string> set_steering_mac(const std::string& interface, const steer_mac& mac);

// Detaches the program. Returns false if no program was attached. A foreign program is an error.
tl::expected<bool, std::string> detach_steering(const std::string& interface);

// Removes the pinned maps and the directory. Attached programs keep the old maps, but later attachments and
// teald get new ones. So the caller detaches the program from every port first. A missing pin_dir is not an
// error.
tl::expected<void, std::string> unpin_steering(const std::string& pin_dir);

}  // namespace teal
