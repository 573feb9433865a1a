// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Helpers of the tests against the running kernel: a check of the rights they need, a pin directory of their
// own, and a network namespace of their own with a veth pair. The kernel removes the namespace with the
// process.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bpf/steer_loader.h"

namespace teal {

// Returns "", or what is missing for tests of BPF programs.
inline std::string missing_for_bpf() {
  if (geteuid() != 0) return "needs root, to load BPF programs";
  struct statfs filesystem = {};
  if (statfs("/sys/fs/bpf", &filesystem) != 0 || filesystem.f_type != BPF_FS_MAGIC) {
    return "needs a bpffs: mount -t bpf bpf /sys/fs/bpf";
  }
  const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "teal_probe", 4, 4, 1, nullptr);
  if (map < 0) return std::string("needs CAP_BPF: bpf() says ") + std::strerror(errno);
  close(map);
  return "";
}

// A pin directory that no other process uses. The destructor removes it with its contents.
class PinDir {
 public:
  PinDir() : path_("/sys/fs/bpf/teal-test-" + std::to_string(getpid())) {}
  ~PinDir() { (void)unpin_steering(path_); }
  PinDir(const PinDir&) = delete;
  PinDir& operator=(const PinDir&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Moves this thread into a new network namespace and makes a veth pair port0 <-> far0 there. Returns "", or
// what failed.
inline std::string enter_namespace_with_veth() {
  if (unshare(CLONE_NEWNET) != 0) return std::string("needs a network namespace: ") + std::strerror(errno);
  const char* commands =
      "ip link set lo up && ip link add port0 address 02:00:00:00:00:01 type veth peer name far0 && "
      "ip link set port0 up && ip link set far0 up";
  if (std::system(commands) != 0) return "needs ip (iproute2) and veth";
  return "";
}

// Returns the id of the XDP program on an interface, or 0.
inline uint32_t xdp_program_id(const char* interface) {
  uint32_t id = 0;
  bpf_xdp_query_id(static_cast<int>(if_nametoindex(interface)), 0, &id);
  return id;
}

// Returns the id of the map with this name that a program uses, or 0. The kernel keeps 15 characters of a
// name.
inline uint32_t map_id_of_program(uint32_t program_id, const std::string& full_name) {
  const std::string name = full_name.substr(0, BPF_OBJ_NAME_LEN - 1);
  uint32_t ids[32] = {};
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  info.nr_map_ids = 32;
  info.map_ids = reinterpret_cast<uintptr_t>(ids);
  const int program = bpf_prog_get_fd_by_id(program_id);
  if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &bytes) < 0) return 0;
  close(program);
  for (uint32_t i = 0; i < info.nr_map_ids; ++i) {
    bpf_map_info map_info = {};
    bytes = sizeof(map_info);
    const int map = bpf_map_get_fd_by_id(ids[i]);
    const bool found =
        map >= 0 && bpf_obj_get_info_by_fd(map, &map_info, &bytes) == 0 && name == map_info.name;
    if (map >= 0) close(map);
    if (found) return ids[i];
  }
  return 0;
}

}  // namespace teal
