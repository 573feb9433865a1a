// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// Loads the steering program for a port and runs it on one frame at a time (BPF_PROG_TEST_RUN), without
// attaching it.
#pragma once

#include <sys/socket.h>

#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string>

#include "bpf/steer_maps.h"
#include "steer.skel.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/kernel_fixture.h"

namespace teal {

inline const char* name_of(size_t verdict) {
  constexpr const char* kNames[] = {"pass", "to_vip", "from_backend", "icmp_error", "fragment", "no_socket"};
  static_assert(std::size(kNames) == STEER_VERDICT_COUNT);
  return verdict < std::size(kNames) ? kNames[verdict] : "?";
}

// Runs a loaded program on a frame. Returns the name of the verdict that was counted, if the program's return
// code agrees and the frame is unchanged. Otherwise returns what is wrong.
inline std::string verdict_of(int program, const frame::Bytes& in, const SteerMaps& maps) {
  const auto before = maps.counters();
  frame::Bytes out(in.size() + 256);
  bpf_test_run_opts run = {};
  run.sz = sizeof(run);
  run.data_in = in.data();
  run.data_size_in = static_cast<uint32_t>(in.size());
  run.data_out = out.data();
  run.data_size_out = static_cast<uint32_t>(out.size());
  if (const int code = bpf_prog_test_run_opts(program, &run); code < 0) return std::strerror(-code);
  out.resize(run.data_size_out);
  if (out != in) return "the frame was changed";
  const auto after = maps.counters();
  if (!before || !after) return "counters cannot be read";
  for (size_t verdict = 0; verdict < after->size(); ++verdict) {
    if ((*after)[verdict] == (*before)[verdict]) continue;
    const uint32_t expected = verdict == STEER_PASS        ? XDP_PASS
                              : verdict == STEER_NO_SOCKET ? XDP_DROP
                                                           : XDP_REDIRECT;
    if (run.retval != expected)
      return std::string(name_of(verdict)) + " with code " + std::to_string(run.retval);
    return name_of(verdict);
  }
  return "nothing was counted";
}

// Writes to the map other_macs that the program saw this MAC address shortly after the start of the machine.
inline void make_mac_known(int map, const uint8_t* mac) {
  const uint64_t seen_ns = 1;
  EXPECT_EQ(bpf_map_update_elem(map, mac, &seen_ns, BPF_ANY), 0);
}

class SteerProgram {
 public:
  // Loads the program for a port of this side with the MAC address frame::kPortMac. Every test run uses queue
  // 0, which has an AF_XDP socket if `with_socket`.
  SteerProgram(const std::string& pin_dir, uint32_t side, bool with_socket) {
    libbpf_set_print([](libbpf_print_level level, const char* format, va_list arguments) {
      return level == LIBBPF_WARN ? std::vfprintf(stderr, format, arguments) : 0;
    });
    bpf_object_open_opts options = {};
    options.sz = sizeof(options);
    options.pin_root_path = pin_dir.c_str();
    skeleton_.reset(steer_bpf__open_opts(&options));
    if (!skeleton_) return;
    skeleton_->rodata->side = side;
    if (steer_bpf__load(skeleton_.get()) != 0) {
      skeleton_.reset();
      return;
    }
    const uint32_t key = 0;
    const steer_mac mac = frame::port_mac();
    if (bpf_map_update_elem(bpf_map__fd(skeleton_->maps.port_mac), &key, &mac, BPF_ANY) != 0) {
      skeleton_.reset();
      return;
    }
    if (with_socket) {
      socket_ = BpfFd(::socket(AF_XDP, SOCK_RAW, 0));
      const uint32_t queue = 0;
      const int fd = socket_.get();
      has_socket_ = bpf_map_update_elem(bpf_map__fd(skeleton_->maps.xsks_map), &queue, &fd, BPF_ANY) == 0;
    }
  }

  bool loaded() const { return skeleton_ != nullptr; }
  bool has_socket() const { return has_socket_; }
  int fd() const { return bpf_program__fd(skeleton_->progs.xsk_def_prog); }

  std::string run(const frame::Bytes& in, const SteerMaps& maps) const { return verdict_of(fd(), in, maps); }

  // Makes the program believe that it has seen the MAC address `mac` long ago.
  void make_known(const uint8_t* mac) const { make_mac_known(bpf_map__fd(skeleton_->maps.other_macs), mac); }

 private:
  struct Destroyer {
    void operator()(steer_bpf* skeleton) const { steer_bpf__destroy(skeleton); }
  };
  std::unique_ptr<steer_bpf, Destroyer> skeleton_;
  BpfFd socket_;
  bool has_socket_ = false;
};

// Two ports of one instance, and its maps. VIPs: 198.18.0.10:80/tcp, :5300/udp, [fd18:0::10]:80/tcp,
// :5300/udp, and 198.18.1.1:443/tcp on an address of the host. Backends: 198.18.2.11:8080/tcp, :5300/udp,
// [fd18:2::11]:8080/tcp, :5300/udp, and 198.18.1.1:9999/tcp. Local: 198.18.1.1, 198.18.2.1, fd18:1::1,
// fd18:2::1.
class SteerTest : public ::testing::Test {
 protected:
  static SteerSet picture() {
    using frame::address;
    using frame::socket;
    SteerSet set;
    set.vips = {socket("198.18.0.10", 80, IPPROTO_TCP), socket("198.18.0.10", 5300, IPPROTO_UDP),
                socket("fd18:0::10", 80, IPPROTO_TCP), socket("fd18:0::10", 5300, IPPROTO_UDP),
                socket("198.18.1.1", 443, IPPROTO_TCP)};
    set.backends = {socket("198.18.2.11", 8080, IPPROTO_TCP), socket("198.18.2.11", 5300, IPPROTO_UDP),
                    socket("fd18:2::11", 8080, IPPROTO_TCP), socket("fd18:2::11", 5300, IPPROTO_UDP),
                    socket("198.18.1.1", 9999, IPPROTO_TCP)};
    set.local_addresses = {address("198.18.1.1"), address("198.18.2.1"), address("fd18:1::1"),
                           address("fd18:2::1")};
    return set;
  }

  void SetUp() override {
    if (const std::string missing = missing_for_bpf(); !missing.empty()) GTEST_SKIP() << missing;
    pins_ = std::make_unique<PinDir>();
    auto opened = SteerMaps::open(pins_->path());
    ASSERT_TRUE(opened) << opened.error();
    maps_ = std::make_unique<SteerMaps>(std::move(*opened));
    auto added = maps_->add_missing(picture());
    ASSERT_TRUE(added) << added.error();
    client_ = std::make_unique<SteerProgram>(pins_->path(), STEER_SIDE_CLIENT, true);
    backend_ = std::make_unique<SteerProgram>(pins_->path(), STEER_SIDE_BACKEND, true);
    ASSERT_TRUE(client_->loaded() && client_->has_socket());
    ASSERT_TRUE(backend_->loaded() && backend_->has_socket());
  }

  std::string on_client_side(const frame::Bytes& in) const { return client_->run(in, *maps_); }
  std::string on_backend_side(const frame::Bytes& in) const { return backend_->run(in, *maps_); }

  std::unique_ptr<PinDir> pins_;
  std::unique_ptr<SteerMaps> maps_;
  std::unique_ptr<SteerProgram> client_;
  std::unique_ptr<SteerProgram> backend_;
};

}  // namespace teal
