// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/steer_loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "bpf/bpf_fd.h"
#include "bpf/pinned_maps.h"
#include "steer.skel.h"

namespace teal {
namespace {

constexpr char kProgramName[] = "xsk_def_prog";
constexpr char kSocketsMap[] = "xsks_map";
constexpr char kMacMap[] = "port_mac";

// Replaces libbpf's log hook during its lifetime. Warnings are kept for the error that the caller returns;
// all messages go to spdlog. A refused load gives the whole verifier log, whose end names the cause.
class LibbpfLog {
 public:
  LibbpfLog() : previous_(libbpf_set_print(&LibbpfLog::print)) { warnings().clear(); }
  ~LibbpfLog() { libbpf_set_print(previous_); }
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  static void clear() { warnings().clear(); }
  static std::string said() {
    constexpr size_t kKept = 2000;
    const std::string& text = warnings();
    if (text.empty()) return "";
    return " (" + (text.size() > kKept ? "... " + text.substr(text.size() - kKept) : text) + ")";
  }

 private:
  static std::string& warnings() {
    thread_local std::string text;
    return text;
  }

  __attribute__((format(printf, 2, 0))) static int print(libbpf_print_level level, const char* format,
                                                         va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    const int bytes = std::vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (bytes <= 0) return 0;
    std::string text(static_cast<size_t>(bytes), '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, arguments);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    spdlog::debug("{}", text);
    if (level == LIBBPF_WARN) warnings() += (warnings().empty() ? "" : "; ") + text;
    return 0;
  }

  libbpf_print_fn_t previous_;
};

std::string reason(int code) {
  return std::strerror(code < 0 ? -code : code);
}

struct SkeletonDestroyer {
  void operator()(steer_bpf* skeleton) const { steer_bpf__destroy(skeleton); }
};
using Skeleton = std::unique_ptr<steer_bpf, SkeletonDestroyer>;

// Holds the XDP program that is attached to an interface.
struct Attached {
  uint32_t id = 0;  // 0: nothing
  XdpMode mode = XdpMode::kNative;
  std::string name;
  BpfFd program;
  BpfFd sockets;         // the program's xsks_map
  BpfFd mac;             // the program's port_mac; older versions of Teal have none
  uint32_t vips_id = 0;  // the program's map of VIPs
  bool has_backends = false;

  bool ours() const { return name == kProgramName && sockets && vips_id != 0 && has_backends; }
};

uint32_t map_id(int fd) {
  bpf_map_info info = {};
  uint32_t bytes = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &bytes) == 0 ? info.id : 0;
}

// Fills in name and maps of the attached program. A map may vanish during the call, if the program is just
// being removed; it is skipped.
tl::expected<void, std::string> look_at_program(Attached& attached) {
  const auto failed = [&] {
    return tl::unexpected("XDP program " + std::to_string(attached.id) +
                          " cannot be examined: " + reason(errno));
  };
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(attached.program.get(), &info, &bytes) < 0) return failed();
  attached.name = info.name;
  std::vector<uint32_t> map_ids(info.nr_map_ids);
  info = {};
  info.nr_map_ids = static_cast<uint32_t>(map_ids.size());
  info.map_ids = reinterpret_cast<uintptr_t>(map_ids.data());
  bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(attached.program.get(), &info, &bytes) < 0) return failed();
  for (uint32_t id : map_ids) {
    BpfFd map(bpf_map_get_fd_by_id(id));
    bpf_map_info map_info = {};
    bytes = sizeof(map_info);
    if (!map || bpf_obj_get_info_by_fd(map.get(), &map_info, &bytes) < 0) continue;
    const std::string name = map_info.name;
    if (name == kPinnedMaps[kVips].name) attached.vips_id = id;
    if (name == kPinnedMaps[kBackends].name) attached.has_backends = true;
    if (name == kSocketsMap && map_info.type == BPF_MAP_TYPE_XSKMAP) attached.sockets = std::move(map);
    if (name == kMacMap && map_info.value_size == sizeof(steer_mac)) attached.mac = std::move(map);
  }
  return {};
}

tl::expected<Attached, std::string> look_at(const std::string& interface, int index) {
  bpf_xdp_query_opts query = {};
  query.sz = sizeof(query);
  if (int code = bpf_xdp_query(index, 0, &query); code < 0) {
    return tl::unexpected(interface + ": its XDP program cannot be queried: " + reason(code));
  }
  Attached attached;
  attached.id = query.drv_prog_id   ? query.drv_prog_id
                : query.skb_prog_id ? query.skb_prog_id
                                    : query.hw_prog_id;
  attached.mode = query.skb_prog_id && !query.drv_prog_id ? XdpMode::kGeneric : XdpMode::kNative;
  if (attached.id == 0) return attached;
  attached.program = BpfFd(bpf_prog_get_fd_by_id(attached.id));
  if (!attached.program) {
    return tl::unexpected(interface + ": XDP program " + std::to_string(attached.id) +
                          " is attached but cannot be opened: " + reason(errno));
  }
  if (auto looked = look_at_program(attached); !looked)
    return tl::unexpected(interface + ": " + looked.error());
  return attached;
}

std::string foreign(const std::string& interface, const Attached& attached) {
  return interface + ": a foreign XDP program is attached, id " + std::to_string(attached.id) + ", name \"" +
         attached.name + "\", expected none or Teal's own; if the program is not needed: ip link set dev " +
         interface + " xdp off";
}

tl::expected<int, std::string> index_of(const std::string& interface) {
  const unsigned index = if_nametoindex(interface.c_str());
  if (index == 0)
    return tl::unexpected(interface + ": no such interface in this network namespace: " + reason(errno));
  return static_cast<int>(index);
}

// Returns 0, or a negative errno.
int write_mac(int map, const steer_mac& mac) {
  const uint32_t key = 0;
  return bpf_map_update_elem(map, &key, &mac, BPF_ANY);
}

// Loads the program for a port. It makes missing pinned maps and checks their shapes first, so libbpf reuses
// them.
tl::expected<Skeleton, std::string> load(uint32_t side, const steer_mac& mac, const std::string& pin_dir,
                                         const BpfFd& sockets) {
  for (const MapShape& shape : kPinnedMaps) {
    if (auto opened = open_pinned_map(pin_dir, shape); !opened) return tl::unexpected(opened.error());
  }
  bpf_object_open_opts options = {};
  options.sz = sizeof(options);
  options.pin_root_path = pin_dir.c_str();
  Skeleton skeleton(steer_bpf__open_opts(&options));
  if (!skeleton)
    return tl::unexpected("the steering program cannot be opened: " + reason(errno) + LibbpfLog::said());
  skeleton->rodata->side = side;
  if (sockets) {
    if (int code = bpf_map__reuse_fd(skeleton->maps.xsks_map, sockets.get()); code < 0) {
      return tl::unexpected("the attached program's xsks_map cannot be taken over: " + reason(code) +
                            LibbpfLog::said());
    }
  }
  if (int code = steer_bpf__load(skeleton.get()); code < 0) {
    return tl::unexpected("the steering program cannot be loaded: " + reason(code) + LibbpfLog::said());
  }
  if (int code = write_mac(bpf_map__fd(skeleton->maps.port_mac), mac); code < 0)
    return tl::unexpected("the port's MAC address cannot be written to the steering program: " +
                          reason(code));
  return skeleton;
}

tl::expected<SteerAttachment, std::string> replace(const std::string& interface, int index,
                                                   const Attached& old, int program) {
  bpf_xdp_attach_opts options = {};
  options.sz = sizeof(options);
  options.old_prog_fd = old.program.get();
  const uint32_t mode = old.mode == XdpMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  if (int code = bpf_xdp_attach(index, program, XDP_FLAGS_REPLACE | mode, &options); code < 0) {
    return tl::unexpected(interface + ": steering program " + std::to_string(old.id) +
                          " cannot be replaced: " + reason(code) + LibbpfLog::said());
  }
  return SteerAttachment{old.mode, true, 0, ""};
}

tl::expected<SteerAttachment, std::string> attach_first(const std::string& interface, int index,
                                                        int program) {
  int code = bpf_xdp_attach(index, program, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE, nullptr);
  if (code == 0) return SteerAttachment{XdpMode::kNative, false, 0, ""};
  std::string refusal = reason(code) + LibbpfLog::said();
  // Drivers refuse native mode for many reasons (no support, MTU, queues). These four errors would also occur
  // in generic mode.
  if (code != -EBUSY && code != -EEXIST && code != -EPERM && code != -ENODEV) {
    LibbpfLog::clear();
    code = bpf_xdp_attach(index, program, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_SKB_MODE, nullptr);
    if (code == 0) return SteerAttachment{XdpMode::kGeneric, false, 0, refusal};
    refusal = "native mode: " + refusal + ", generic mode: " + reason(code) + LibbpfLog::said();
  }
  if (auto now = look_at(interface, index); now && now->id != 0)
    return tl::unexpected(foreign(interface, *now));
  return tl::unexpected(interface + ": the steering program cannot be attached: " + refusal);
}

}  // namespace

tl::expected<SteerAttachment, std::string> attach_steering(const std::string& interface, uint32_t side,
                                                           const steer_mac& mac, const std::string& pin_dir) {
  const LibbpfLog log;
  auto index = index_of(interface);
  if (!index) return tl::unexpected(index.error());
  auto old = look_at(interface, *index);
  if (!old) return tl::unexpected(old.error());
  if (old->id != 0 && !old->ours()) return tl::unexpected(foreign(interface, *old));

  if (auto made = make_pin_dir(pin_dir); !made) return tl::unexpected(made.error());
  auto skeleton = load(side, mac, pin_dir, old->sockets);
  if (!skeleton) return tl::unexpected(interface + ": " + skeleton.error());
  if (old->id != 0 && old->vips_id != map_id(bpf_map__fd((*skeleton)->maps.vips))) {
    spdlog::warn("{}: the steering program that is replaced (id {}) did not use the maps in {}", interface,
                 old->id, pin_dir);
  }

  const int program = bpf_program__fd((*skeleton)->progs.xsk_def_prog);
  auto attachment =
      old->id != 0 ? replace(interface, *index, *old, program) : attach_first(interface, *index, program);
  if (!attachment) return attachment;
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  if (bpf_obj_get_info_by_fd(program, &info, &bytes) == 0) attachment->program_id = info.id;
  return attachment;
}

tl::expected<void, std::string> set_steering_mac(const std::string& interface, const steer_mac& mac) {
  const LibbpfLog log;
  auto index = index_of(interface);
  if (!index) return tl::unexpected(index.error());
  auto attached = look_at(interface, *index);
  if (!attached) return tl::unexpected(attached.error());
  if (attached->id == 0) return tl::unexpected(interface + ": no steering program is attached");
  if (!attached->ours()) return tl::unexpected(foreign(interface, *attached));
  if (!attached->mac)
    return tl::unexpected(interface + ": steering program " + std::to_string(attached->id) +
                          " was attached by another version of Teal and knows no MAC address");
  if (int code = write_mac(attached->mac.get(), mac); code < 0)
    return tl::unexpected(interface + ": the MAC address of steering program " +
                          std::to_string(attached->id) + " cannot be written: " + reason(code));
  return {};
}

tl::expected<bool, std::string> detach_steering(const std::string& interface) {
  const LibbpfLog log;
  auto index = index_of(interface);
  if (!index) return tl::unexpected(index.error());
  auto attached = look_at(interface, *index);
  if (!attached) return tl::unexpected(attached.error());
  if (attached->id == 0) return false;
  if (!attached->ours()) return tl::unexpected(foreign(interface, *attached));
  bpf_xdp_attach_opts options = {};
  options.sz = sizeof(options);
  options.old_prog_fd = attached->program.get();
  const uint32_t mode = attached->mode == XdpMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  if (int code = bpf_xdp_detach(*index, XDP_FLAGS_REPLACE | mode, &options); code < 0) {
    return tl::unexpected(interface + ": steering program " + std::to_string(attached->id) +
                          " cannot be detached: " + reason(code) + LibbpfLog::said());
  }
  return true;
}

tl::expected<void, std::string> unpin_steering(const std::string& pin_dir) {
  std::error_code error;
  for (const MapShape& shape : kPinnedMaps) {
    const std::string path = pin_dir + "/" + shape.name;
    // remove() returns false without an error if the file is missing.
    std::filesystem::remove(path, error);
    if (error) return tl::unexpected(path + ": cannot be removed: " + error.message());
  }
  std::filesystem::remove(pin_dir, error);
  if (error) return tl::unexpected(pin_dir + ": cannot be removed: " + error.message());
  return {};
}

}  // namespace teal
