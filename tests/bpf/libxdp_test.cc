// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The behaviour of libxdp that Teal relies on. DPDK's AF_XDP driver uses libxdp (lib/libxdp/xsk.c:
// xsk_lookup_program and xsk_lookup_bpf_map). A socket that is created without a program must
//
//   1. find the steering program on the interface, by the name xsk_def_prog and the metadata
//      xsk_prog_version;
//   2. be put into its xsks_map;
//   3. leave the program attached when it is closed.
//
// The tests run in a network namespace of their own: far0 (sends raw frames) <-> port0 (the program and the
// AF_XDP socket, queue 0).
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>

#include <memory>

#include "bpf/steer_loader.h"
#include "bpf/steer_maps.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/kernel_fixture.h"

namespace teal {
namespace {

// Opens an AF_XDP socket on queue 0 of port0 as DPDK's driver does, without a program of its own.
class Receiver {
 public:
  Receiver() {
    memory_ =
        mmap(nullptr, kFrames * kFrameBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    xsk_umem_config umem_config = {};
    umem_config.fill_size = umem_config.comp_size = kFrames;
    umem_config.frame_size = kFrameBytes;
    error_ = xsk_umem__create(&umem_, memory_, kFrames * kFrameBytes, &fill_, &completion_, &umem_config);
    if (error_ != 0) return;
    xsk_socket_config config = {};
    config.rx_size = config.tx_size = kFrames;
    config.bind_flags = XDP_COPY;
    // The kernel frees a queue some milliseconds after its last socket was closed. Until then it returns
    // EBUSY.
    for (int tries = 0; tries < 200; ++tries) {
      error_ = xsk_socket__create(&socket_, "port0", 0, umem_, &rx_, &tx_, &config);
      if (error_ != -EBUSY) break;
      usleep(10'000);
    }
    if (error_ != 0) return;
    uint32_t slot = 0;
    xsk_ring_prod__reserve(&fill_, kFrames, &slot);
    for (uint32_t i = 0; i < kFrames; ++i) *xsk_ring_prod__fill_addr(&fill_, slot + i) = i * kFrameBytes;
    xsk_ring_prod__submit(&fill_, kFrames);
  }
  ~Receiver() {
    xsk_socket__delete(socket_);
    if (umem_) xsk_umem__delete(umem_);
    munmap(memory_, kFrames * kFrameBytes);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  int error() const { return error_; }

  // Returns the next frame, or nothing after the timeout.
  frame::Bytes receive(int timeout_ms) {
    pollfd waiting = {xsk_socket__fd(socket_), POLLIN, 0};
    poll(&waiting, 1, timeout_ms);
    uint32_t slot = 0;
    if (xsk_ring_cons__peek(&rx_, 1, &slot) == 0) return {};
    const xdp_desc* descriptor = xsk_ring_cons__rx_desc(&rx_, slot);
    const auto* bytes = static_cast<const uint8_t*>(xsk_umem__get_data(memory_, descriptor->addr));
    frame::Bytes frame(bytes, bytes + descriptor->len);
    xsk_ring_cons__release(&rx_, 1);
    return frame;
  }

 private:
  static constexpr uint32_t kFrames = 64;
  static constexpr uint32_t kFrameBytes = 4096;
  void* memory_ = nullptr;
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  xsk_ring_prod fill_ = {};
  xsk_ring_prod tx_ = {};
  xsk_ring_cons completion_ = {};
  xsk_ring_cons rx_ = {};
  int error_ = 0;
};

class LibxdpTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = missing_for_bpf(); !missing.empty()) GTEST_SKIP() << missing;
    if (const std::string missing = enter_namespace_with_veth(); !missing.empty()) GTEST_SKIP() << missing;
    pins_ = std::make_unique<PinDir>();
    auto opened = SteerMaps::open(pins_->path());
    ASSERT_TRUE(opened) << opened.error();
    maps_ = std::make_unique<SteerMaps>(std::move(*opened));
    ASSERT_TRUE(maps_->add_missing({{frame::socket("198.18.0.10", 80, IPPROTO_TCP)}, {}, {}}));
    attach();
  }

  void attach() {
    auto attachment = attach_steering("port0", STEER_SIDE_CLIENT, frame::port_mac(), pins_->path());
    ASSERT_TRUE(attachment) << attachment.error();
    program_id_ = attachment->program_id;
  }

  static frame::Bytes syn(unsigned source_port) {
    return frame::eth(frame::v4("198.18.1.101", "198.18.0.10", frame::tcp(source_port, 80)));
  }

  static void send(const frame::Bytes& frame) {
    const BpfFd raw(::socket(AF_PACKET, SOCK_RAW, 0));
    sockaddr_ll to = {};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex("far0"));
    to.sll_halen = 6;
    ASSERT_EQ(sendto(raw.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)),
              static_cast<ssize_t>(frame.size()))
        << std::strerror(errno);
  }

  // Returns a counter once it has reached `at_least`, or after 2 s.
  uint64_t counted(steer_verdict verdict, uint64_t at_least) {
    for (int tries = 0; tries < 200 && maps_->counters()->at(verdict) < at_least; ++tries) usleep(10'000);
    return maps_->counters()->at(verdict);
  }

  std::unique_ptr<PinDir> pins_;
  std::unique_ptr<SteerMaps> maps_;
  uint32_t program_id_ = 0;
};

TEST_F(LibxdpTest, SocketWithoutAProgramUsesTheSteeringProgram) {
  Receiver receiver;
  ASSERT_EQ(receiver.error(), 0) << std::strerror(-receiver.error());
  EXPECT_EQ(xdp_program_id("port0"), program_id_) << "libxdp attached a program of its own";
  send(syn(40000));
  EXPECT_EQ(receiver.receive(2000), syn(40000));
  EXPECT_EQ(counted(STEER_TO_VIP, 1), 1u);
  EXPECT_EQ(counted(STEER_NO_SOCKET, 0), 0u);
}

TEST_F(LibxdpTest, ProgramStaysWhenTheSocketGoes) {
  {
    Receiver receiver;
    ASSERT_EQ(receiver.error(), 0) << std::strerror(-receiver.error());
  }
  EXPECT_EQ(xdp_program_id("port0"), program_id_);
  send(syn(40000));
  EXPECT_EQ(counted(STEER_NO_SOCKET, 1), 1u);  // dropped, as the kernel would answer with a RST
  Receiver next;
  ASSERT_EQ(next.error(), 0) << std::strerror(-next.error());
  send(syn(40001));
  EXPECT_EQ(next.receive(2000), syn(40001));
}

TEST_F(LibxdpTest, SocketStaysInTheMapWhenTheProgramIsReplaced) {
  Receiver receiver;
  ASSERT_EQ(receiver.error(), 0) << std::strerror(-receiver.error());
  for (unsigned round = 0; round < 5; ++round) {
    const uint32_t before = program_id_;
    attach();
    EXPECT_NE(program_id_, before);
    send(syn(40000 + round));
    EXPECT_EQ(receiver.receive(2000), syn(40000 + round)) << round;
  }
  EXPECT_EQ(counted(STEER_NO_SOCKET, 0), 0u);
}

}  // namespace
}  // namespace teal
