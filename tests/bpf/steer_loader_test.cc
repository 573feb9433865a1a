// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
//
// The tests run in a network namespace of their own with a veth pair, port0 <-> far0. Both ends support
// native XDP.
#include "bpf/steer_loader.h"

#include <linux/if_link.h>
#include <sys/stat.h>

#include <memory>

#include "bpf/steer_maps.h"
#include "tests/bpf/kernel_fixture.h"
#include "tests/bpf/steer_program.h"

namespace teal {
namespace {

class SteerLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = missing_for_bpf(); !missing.empty()) GTEST_SKIP() << missing;
    if (const std::string missing = enter_namespace_with_veth(); !missing.empty()) GTEST_SKIP() << missing;
    pins_ = std::make_unique<PinDir>();
  }

  SteerAttachment attach(const char* interface, uint32_t side = STEER_SIDE_CLIENT) {
    auto attachment = attach_steering(interface, side, frame::port_mac(), pins_->path());
    EXPECT_TRUE(attachment) << attachment.error();
    return attachment.value_or(SteerAttachment{});
  }

  // Returns what the attached program says to a packet to a VIP with this destination MAC address.
  std::string judged(const char* interface, std::initializer_list<uint8_t> mac) {
    auto maps = SteerMaps::open(pins_->path());
    EXPECT_TRUE(maps->add_missing({{frame::socket("198.18.0.10", 80, IPPROTO_TCP)}, {}, {}}));
    const auto in =
        frame::to_mac(frame::eth(frame::v4("198.18.1.101", "198.18.0.10", frame::tcp(40000, 80))), mac);
    const uint32_t id = xdp_program_id(interface);
    const BpfFd program(bpf_prog_get_fd_by_id(id));
    make_mac_known(BpfFd(bpf_map_get_fd_by_id(map_id_of_program(id, "other_macs"))).get(), mac.begin());
    return verdict_of(program.get(), in, *maps);
  }

  // Attaches a program that passes everything and uses no map. Returns its id.
  static uint32_t attach_foreign(const char* interface, const char* name) {
    const bpf_insn instructions[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS},
                                     {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    const BpfFd program(bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", instructions, 2, nullptr));
    EXPECT_TRUE(program);
    EXPECT_EQ(bpf_xdp_attach(static_cast<int>(if_nametoindex(interface)), program.get(), XDP_FLAGS_DRV_MODE,
                             nullptr),
              0);
    return xdp_program_id(interface);
  }

  std::unique_ptr<PinDir> pins_;
};

TEST_F(SteerLoaderTest, AttachesInNativeModeAndDetaches) {
  const SteerAttachment attachment = attach("port0");
  EXPECT_EQ(attachment.mode, XdpMode::kNative);
  EXPECT_FALSE(attachment.replaced);
  EXPECT_EQ(attachment.native_refusal, "");
  EXPECT_NE(attachment.program_id, 0u);
  EXPECT_EQ(xdp_program_id("port0"), attachment.program_id);

  auto detached = detach_steering("port0");
  ASSERT_TRUE(detached) << detached.error();
  EXPECT_TRUE(*detached);
  EXPECT_EQ(xdp_program_id("port0"), 0u);
  detached = detach_steering("port0");
  ASSERT_TRUE(detached) << detached.error();
  EXPECT_FALSE(*detached);
}

TEST_F(SteerLoaderTest, FallsBackToGenericMode) {
  SteerAttachment attachment = attach("lo");
  EXPECT_EQ(attachment.mode, XdpMode::kGeneric);
  EXPECT_NE(attachment.native_refusal, "");
  attachment = attach("lo");
  EXPECT_EQ(attachment.mode, XdpMode::kGeneric);
  EXPECT_TRUE(attachment.replaced);
  EXPECT_EQ(xdp_program_id("lo"), attachment.program_id);
  auto detached = detach_steering("lo");
  ASSERT_TRUE(detached) << detached.error();
  EXPECT_EQ(xdp_program_id("lo"), 0u);
}

TEST_F(SteerLoaderTest, ReplacesInPlaceAndKeepsTheMaps) {
  const SteerAttachment first = attach("port0", STEER_SIDE_CLIENT);
  const uint32_t sockets = map_id_of_program(first.program_id, "xsks_map");
  const uint32_t vips = map_id_of_program(first.program_id, "vips");
  ASSERT_NE(sockets, 0u);
  for (int round = 0; round < 5; ++round) {
    const SteerAttachment next = attach("port0", STEER_SIDE_BACKEND);
    EXPECT_TRUE(next.replaced);
    EXPECT_EQ(next.mode, XdpMode::kNative);
    EXPECT_NE(next.program_id, first.program_id);
    EXPECT_EQ(xdp_program_id("port0"), next.program_id);
    EXPECT_EQ(map_id_of_program(next.program_id, "xsks_map"), sockets);
    EXPECT_EQ(map_id_of_program(next.program_id, "vips"), vips);
  }
}

TEST_F(SteerLoaderTest, PortsOfAnInstanceShareAllMapsButTheSockets) {
  const SteerAttachment port = attach("port0", STEER_SIDE_CLIENT);
  const SteerAttachment far = attach("far0", STEER_SIDE_BACKEND);
  for (const char* map :
       {"vips", "vip_addresses", "backends", "backend_addresses", "local_addresses", "steer_counters"}) {
    EXPECT_NE(map_id_of_program(port.program_id, map), 0u) << map;
    EXPECT_EQ(map_id_of_program(port.program_id, map), map_id_of_program(far.program_id, map)) << map;
  }
  EXPECT_NE(map_id_of_program(port.program_id, "xsks_map"), map_id_of_program(far.program_id, "xsks_map"));
}

TEST_F(SteerLoaderTest, EachPortHasItsOwnMacFromTheFirstFrameOn) {
  attach("port0");
  const steer_mac other = {{0x1102, 0x3322, 0x5544}};  // 02:11:22:33:44:55 on a little-endian machine
  ASSERT_TRUE(attach_steering("far0", STEER_SIDE_CLIENT, other, pins_->path()));
  EXPECT_EQ(judged("port0", {2, 0, 0, 0, 0, 1}), "no_socket");
  EXPECT_EQ(judged("far0", {2, 0, 0, 0, 0, 1}), "pass");
  EXPECT_EQ(judged("far0", {2, 0x11, 0x22, 0x33, 0x44, 0x55}), "no_socket");
}

TEST_F(SteerLoaderTest, FollowsAChangeOfTheMac) {
  attach("port0");
  const steer_mac other = {{0x1102, 0x3322, 0x5544}};
  const auto set = set_steering_mac("port0", other);
  ASSERT_TRUE(set) << set.error();
  EXPECT_EQ(judged("port0", {2, 0, 0, 0, 0, 1}), "pass");
  EXPECT_EQ(judged("port0", {2, 0x11, 0x22, 0x33, 0x44, 0x55}), "no_socket");
  EXPECT_TRUE(attach("port0").replaced);
  EXPECT_EQ(judged("port0", {2, 0, 0, 0, 0, 1}), "no_socket") << "the next start has its own look";
}

TEST_F(SteerLoaderTest, NoOtherProgramGetsAMac) {
  auto set = set_steering_mac("port0", frame::port_mac());
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error(), "port0: no steering program is attached");
  attach_foreign("port0", "somebody");
  set = set_steering_mac("port0", frame::port_mac());
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().find("a foreign XDP program is attached"), std::string::npos) << set.error();
}

TEST_F(SteerLoaderTest, FindsTheMapsThatTealdMadeAndFilled) {
  auto maps = SteerMaps::open(pins_->path());
  ASSERT_TRUE(maps) << maps.error();
  ASSERT_TRUE(maps->add_missing({{steer_socket{}}, {}, {}}));
  attach("port0");
  auto contents = SteerMaps::open(pins_->path())->contents();
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->vips.size(), 1u);
}

TEST_F(SteerLoaderTest, RefusesAForeignProgramByItsId) {
  const uint32_t id = attach_foreign("port0", "somebody");
  auto attachment = attach_steering("port0", STEER_SIDE_CLIENT, frame::port_mac(), pins_->path());
  ASSERT_FALSE(attachment);
  EXPECT_NE(attachment.error().find("port0: a foreign XDP program is attached, id " + std::to_string(id) +
                                    ", name \"somebody\""),
            std::string::npos)
      << attachment.error();
  auto detached = detach_steering("port0");
  ASSERT_FALSE(detached);
  EXPECT_NE(detached.error().find("id " + std::to_string(id)), std::string::npos) << detached.error();
  EXPECT_EQ(xdp_program_id("port0"), id);
}

// libxdp's own default program has the same name. Only the maps distinguish the two.
TEST_F(SteerLoaderTest, ForeignProgramOfTheSameNameIsRefused) {
  const uint32_t id = attach_foreign("port0", "xsk_def_prog");
  EXPECT_FALSE(attach_steering("port0", STEER_SIDE_CLIENT, frame::port_mac(), pins_->path()));
  EXPECT_FALSE(detach_steering("port0"));
  EXPECT_EQ(xdp_program_id("port0"), id);
}

TEST_F(SteerLoaderTest, RefusesPinnedMapsOfAnotherShapeAndLeavesTheProgram) {
  const SteerAttachment attachment = attach("port0");
  ASSERT_TRUE(unpin_steering(pins_->path()));
  ASSERT_EQ(mkdir(pins_->path().c_str(), 0700), 0);
  const BpfFd other(bpf_map_create(BPF_MAP_TYPE_HASH, "backends", 20, 4, 7, nullptr));
  ASSERT_EQ(bpf_obj_pin(other.get(), (pins_->path() + "/backends").c_str()), 0);
  auto again = attach_steering("port0", STEER_SIDE_CLIENT, frame::port_mac(), pins_->path());
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().find("/backends: pinned by another version of Teal"), std::string::npos)
      << again.error();
  EXPECT_EQ(xdp_program_id("port0"), attachment.program_id);
}

TEST_F(SteerLoaderTest, ReplacesAProgramWhoseMapsWereUnpinned) {
  attach("port0");
  ASSERT_TRUE(unpin_steering(pins_->path()));
  EXPECT_TRUE(attach("port0").replaced);
}

TEST_F(SteerLoaderTest, ErrorsNameTheInterfaceAndTheDirectory) {
  auto attachment = attach_steering("nowhere0", STEER_SIDE_CLIENT, frame::port_mac(), pins_->path());
  ASSERT_FALSE(attachment);
  EXPECT_NE(attachment.error().find("nowhere0: no such interface"), std::string::npos) << attachment.error();
  attachment = attach_steering("port0", STEER_SIDE_CLIENT, frame::port_mac(), "/tmp");
  ASSERT_FALSE(attachment);
  EXPECT_NE(attachment.error().find("/tmp: is not on a bpffs"), std::string::npos) << attachment.error();
  EXPECT_EQ(xdp_program_id("port0"), 0u);
}

TEST_F(SteerLoaderTest, UnpinLeavesNothing) {
  attach("port0");
  ASSERT_EQ(access(pins_->path().c_str(), F_OK), 0);
  auto unpinned = unpin_steering(pins_->path());
  ASSERT_TRUE(unpinned) << unpinned.error();
  EXPECT_NE(access(pins_->path().c_str(), F_OK), 0);
  EXPECT_TRUE(unpin_steering(pins_->path()));
}

}  // namespace
}  // namespace teal
