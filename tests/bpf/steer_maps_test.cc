// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/steer_maps.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <functional>

#include "bpf/pinned_maps.h"
#include "tests/bpf/steer_program.h"

namespace teal {
namespace {

using frame::address;
using frame::socket;

class SteerMapsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string missing = missing_for_bpf(); !missing.empty()) GTEST_SKIP() << missing;
    pins_ = std::make_unique<PinDir>();
  }

  SteerMaps open() {
    auto opened = SteerMaps::open(pins_->path());
    if (!opened) throw std::runtime_error(opened.error());
    return std::move(*opened);
  }

  size_t entries(PinnedMap map) {
    auto opened = open_pinned_map(pins_->path(), kPinnedMaps[map]);
    if (!opened) throw std::runtime_error(opened.error());
    size_t count = 0;
    char key[32] = {};
    for (bool first = true; bpf_map_get_next_key(opened->get(), first ? nullptr : key, key) == 0;
         first = false)
      ++count;
    return count;
  }

  std::unique_ptr<PinDir> pins_;
};

SteerSet numbered(uint16_t vips, uint16_t backends, uint16_t from = 1) {
  SteerSet set;
  for (uint16_t i = 0; i < vips; ++i) set.vips.push_back(socket("198.18.0.10", from + i, IPPROTO_TCP));
  for (uint16_t i = 0; i < backends; ++i)
    set.backends.push_back(socket("198.18.2.11", from + i, IPPROTO_TCP));
  return set;
}

TEST_F(SteerMapsTest, HoldsTheUnionBetweenAddAndRemove) {
  SteerMaps maps = open();
  SteerSet old_set;
  old_set.vips = {socket("198.18.0.10", 80, IPPROTO_TCP)};
  old_set.backends = {socket("198.18.2.11", 8080, IPPROTO_TCP)};
  old_set.local_addresses = {address("198.18.1.1")};
  SteerSet new_set;
  new_set.vips = {socket("198.18.0.10", 443, IPPROTO_TCP), socket("fd18:0::10", 80, IPPROTO_TCP)};
  new_set.backends = {socket("198.18.2.12", 8080, IPPROTO_TCP)};
  new_set.local_addresses = {address("198.18.1.1"), address("fd18:1::1")};

  ASSERT_TRUE(maps.add_missing(old_set));
  ASSERT_TRUE(maps.add_missing(new_set));
  auto both = maps.contents();
  ASSERT_TRUE(both) << both.error();
  EXPECT_EQ(both->vips.size(), 3u);
  EXPECT_EQ(both->backends.size(), 2u);
  EXPECT_EQ(both->local_addresses.size(), 2u);
  EXPECT_EQ(entries(kVipAddresses), 2u);
  EXPECT_EQ(entries(kBackendAddresses), 2u);

  ASSERT_TRUE(maps.remove_others(new_set));
  auto after = maps.contents();
  ASSERT_TRUE(after) << after.error();
  EXPECT_EQ(after->vips.size(), 2u);
  EXPECT_EQ(after->backends.size(), 1u);
  EXPECT_EQ(after->local_addresses.size(), 2u);
  EXPECT_EQ(entries(kVipAddresses), 2u);  // 198.18.0.10 stays, for port 443
  EXPECT_EQ(entries(kBackendAddresses), 1u);
}

TEST_F(SteerMapsTest, RemoveAddsNothing) {
  SteerMaps maps = open();
  ASSERT_TRUE(maps.remove_others(numbered(3, 3)));
  EXPECT_EQ(entries(kVips), 0u);
  EXPECT_EQ(entries(kBackendAddresses), 0u);
}

TEST_F(SteerMapsTest, DuplicatesAreOneEntry) {
  SteerMaps maps = open();
  SteerSet set = numbered(1, 1);
  set.vips.push_back(set.vips[0]);
  set.vips.back().zero = 9;  // not a part of the key
  set.local_addresses = {address("198.18.1.1"), address("198.18.1.1")};
  ASSERT_TRUE(maps.add_missing(set));
  EXPECT_EQ(entries(kVips), 1u);
  EXPECT_EQ(entries(kLocalAddresses), 1u);
}

TEST_F(SteerMapsTest, HasRoomForTwoGenerations) {
  SteerMaps maps = open();
  const SteerSet first = numbered(1024, 4096, 1);
  const SteerSet second = numbered(1024, 4096, 10'000);
  auto added = maps.add_missing(first);
  ASSERT_TRUE(added) << added.error();
  added = maps.add_missing(second);
  ASSERT_TRUE(added) << added.error();
  EXPECT_EQ(entries(kVips), 2048u);
  EXPECT_EQ(entries(kBackends), 8192u);
  ASSERT_TRUE(maps.remove_others(second));
  EXPECT_EQ(entries(kVips), 1024u);
  EXPECT_EQ(entries(kBackends), 4096u);
}

TEST_F(SteerMapsTest, TooManyChangesNothing) {
  SteerMaps maps = open();
  ASSERT_TRUE(maps.add_missing(numbered(10, 10)));
  auto added = maps.add_missing(numbered(2000, 10, 1000));
  ASSERT_TRUE(added) << added.error();
  added = maps.add_missing(numbered(100, 20, 20'000));
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().find("vips: has room for 2048 entries and holds 2010; 100 more do not fit"),
            std::string::npos)
      << added.error();
  EXPECT_EQ(entries(kVips), 2010u);
  EXPECT_EQ(entries(kBackends), 20u);
}

TEST_F(SteerMapsTest, RefusesMapsOfAnotherShape) {
  ASSERT_TRUE(make_pin_dir(pins_->path()));
  const BpfFd other(bpf_map_create(BPF_MAP_TYPE_HASH, "vips", 24, 4, 16, nullptr));
  ASSERT_EQ(bpf_obj_pin(other.get(), (pins_->path() + "/vips").c_str()), 0);
  auto opened = SteerMaps::open(pins_->path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find(
                "/vips: pinned by another version of Teal: it is hash with 16 entries of 24 + 4 bytes, "
                "expected hash with 2048 entries of 20 + 4 bytes"),
            std::string::npos)
      << opened.error();
  ASSERT_TRUE(unpin_steering(pins_->path()));
  EXPECT_TRUE(SteerMaps::open(pins_->path()));
}

TEST_F(SteerMapsTest, RefusesADirectoryOutsideABpffs) {
  auto opened = SteerMaps::open("/tmp");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("/tmp: is not on a bpffs"), std::string::npos) << opened.error();
}

TEST_F(SteerMapsTest, ContentsOutliveTheProcessThatWroteThem) {
  {
    SteerMaps maps = open();
    ASSERT_TRUE(maps.add_missing(numbered(2, 3)));
  }
  auto contents = open().contents();
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->vips.size(), 2u);
  EXPECT_EQ(contents->backends.size(), 3u);
}

// The loader or SteerMaps makes the maps, whichever runs first. The other one must be able to use them.
TEST_F(SteerMapsTest, ShapesMatchTheProgram) {
  const SteerProgram program(pins_->path(), 0, false);
  ASSERT_TRUE(program.loaded());
  auto opened = SteerMaps::open(pins_->path());
  ASSERT_TRUE(opened) << opened.error();
  bpf_prog_info info = {};
  uint32_t bytes = sizeof(info);
  ASSERT_EQ(bpf_obj_get_info_by_fd(program.fd(), &info, &bytes), 0);
  for (const MapShape& shape : kPinnedMaps) {
    auto pinned = open_pinned_map(pins_->path(), shape);
    ASSERT_TRUE(pinned) << pinned.error();
    bpf_map_info map_info = {};
    bytes = sizeof(map_info);
    ASSERT_EQ(bpf_obj_get_info_by_fd(pinned->get(), &map_info, &bytes), 0);
    EXPECT_EQ(map_id_of_program(info.id, shape.name), map_info.id) << shape.name;
  }
}

// teald under systemd: a user other than the dataplane's, in the same group (scripts/systemd), without
// capabilities.
bool as_teald(gid_t group, const std::function<bool()>& attempt) {
  constexpr uid_t kTeald = 59990;
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(1, &group) != 0 || setgid(kTeald) != 0 || setuid(kTeald) != 0) _exit(2);
    _exit(attempt() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class SharedSteerMapsTest : public SteerMapsTest {
 protected:
  static constexpr gid_t kGroup = 59991;
  void SetUp() override {
    SteerMapsTest::SetUp();
    if (IsSkipped()) return;
    struct stat root = {};
    ASSERT_EQ(stat("/sys/fs/bpf", &root), 0);
    if ((root.st_mode & S_IXOTH) == 0) GTEST_SKIP() << "/sys/fs/bpf is closed to other users here";
    ASSERT_EQ(mkdir(pins_->path().c_str(), 0700), 0);
    ASSERT_EQ(chown(pins_->path().c_str(), 0, kGroup), 0);
    ASSERT_EQ(chmod(pins_->path().c_str(), 02750), 0);  // as in scripts/systemd/tmpfiles.conf
  }
};

TEST_F(SharedSteerMapsTest, AnotherUserOfTheGroupFillsMapsWithoutACapability) {
  const mode_t before = umask(0077);
  open();
  umask(before);
  for (const MapShape& shape : kPinnedMaps) {
    struct stat status = {};
    ASSERT_EQ(stat((pins_->path() + "/" + shape.name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777u, 0660u) << shape.name;
    EXPECT_EQ(status.st_gid, kGroup) << shape.name;
  }
  EXPECT_TRUE(as_teald(kGroup, [this] {
    auto maps = SteerMaps::open(pins_->path());
    return maps && maps->add_missing(numbered(3, 2)) && maps->remove_others(numbered(2, 2)) &&
           maps->counters();
  }));
  EXPECT_EQ(entries(kVips), 2u);
}

TEST_F(SharedSteerMapsTest, UserOutsideTheGroupCannotOpenAMap) {
  open();
  EXPECT_FALSE(as_teald(59990, [this] { return SteerMaps::open(pins_->path()).has_value(); }));
}

TEST_F(SharedSteerMapsTest, ErrorAboutMissingMapsNamesTheDataplane) {
  EXPECT_TRUE(as_teald(kGroup, [this] {
    const auto maps = SteerMaps::open(pins_->path());
    return !maps && maps.error().find("teal-dataplane makes it") != std::string::npos;
  }));
}

}  // namespace
}  // namespace teal
