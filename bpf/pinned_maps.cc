// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/pinned_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace teal {
namespace {

// The kernel pins with mode 0600. teald fills the maps that teal-dataplane made, as another user of the same
// group. The group comes from the directory (setgid).
constexpr mode_t kPinMode = 0660;

std::string describe(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries) {
  const char* type_name = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(type));
  return std::string(type_name ? type_name : "unknown") + " with " + std::to_string(max_entries) +
         " entries of " + std::to_string(key_bytes) + " + " + std::to_string(value_bytes) + " bytes";
}

tl::expected<void, std::string> check_shape(int fd, const std::string& path, const MapShape& shape) {
  bpf_map_info info = {};
  uint32_t info_bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0) {
    return tl::unexpected(path +
                          ": its shape cannot be read, so it is not a BPF map: " + std::strerror(errno));
  }
  if (info.type == shape.type && info.key_size == shape.key_bytes && info.value_size == shape.value_bytes &&
      info.max_entries == shape.max_entries) {
    return {};
  }
  return tl::unexpected(path + ": pinned by another version of Teal: it is " +
                        describe(info.type, info.key_size, info.value_size, info.max_entries) +
                        ", expected " +
                        describe(shape.type, shape.key_bytes, shape.value_bytes, shape.max_entries) +
                        "; detach the steering program (teal-dataplane --detach), then start again");
}

}  // namespace

tl::expected<void, std::string> make_pin_dir(const std::string& pin_dir) {
  std::error_code error;
  std::filesystem::create_directories(pin_dir, error);
  struct statfs filesystem = {};
  if (!error && statfs(pin_dir.c_str(), &filesystem) < 0) error.assign(errno, std::generic_category());
  if (error) {
    return tl::unexpected(pin_dir + ": cannot be made: " + error.message() +
                          "; it must lie on a mounted bpffs (mount -t bpf bpf /sys/fs/bpf) and be writable");
  }
  if (filesystem.f_type != BPF_FS_MAGIC) {
    return tl::unexpected(pin_dir +
                          ": is not on a bpffs (mount -t bpf bpf /sys/fs/bpf; `ip netns exec` hides it, " +
                          "`nsenter --net` does not)");
  }
  return {};
}

tl::expected<BpfFd, std::string> open_pinned_map(const std::string& pin_dir, const MapShape& shape) {
  const std::string path = pin_dir + "/" + shape.name;
  // Two attempts, because another process may pin the same map between bpf_obj_get and bpf_obj_pin.
  for (int attempt = 0; attempt < 2; ++attempt) {
    BpfFd pinned(bpf_obj_get(path.c_str()));
    if (pinned) {
      if (auto checked = check_shape(pinned.get(), path, shape); !checked)
        return tl::unexpected(checked.error());
      return pinned;
    }
    if (errno != ENOENT) return tl::unexpected(path + ": cannot be opened: " + std::strerror(errno));
    BpfFd made(bpf_map_create(shape.type, shape.name, shape.key_bytes, shape.value_bytes, shape.max_entries,
                              nullptr));
    if (!made) {
      return tl::unexpected(path + ": is missing, and the map cannot be created: " + std::strerror(errno) +
                            "; teal-dataplane makes it when it opens its AF_XDP ports");
    }
    if (bpf_obj_pin(made.get(), path.c_str()) == 0) {
      if (chmod(path.c_str(), kPinMode) == 0) return made;
      return tl::unexpected(path + ": its mode cannot be set: " + std::strerror(errno));
    }
    if (errno != EEXIST) return tl::unexpected(path + ": the map cannot be pinned: " + std::strerror(errno));
  }
  return tl::unexpected(path + ": another process pins and removes the map at the same time; try again");
}

}  // namespace teal
