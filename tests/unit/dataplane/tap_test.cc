// SPDX-License-Identifier: Apache-2.0
//
// TAPs of ports that DPDK owns, in the real kernel. Each test has a network namespace of its own.
#include "dataplane/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/config/host_devices.h"

namespace teal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kOtherProcess[] = "another process has the TAP front open";

std::string output_of(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  for (std::array<char, 256> line; fgets(line.data(), line.size(), pipe) != nullptr;) output += line.data();
  pclose(pipe);
  return output;
}

// Opens a queue of the TAP, as DPDK's driver does.
class Driver {
 public:
  explicit Driver(const std::string& interface) : fd_(open("/dev/net/tun", O_RDWR | O_CLOEXEC)) {
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_MULTI_QUEUE;
    EXPECT_EQ(ioctl(fd_, TUNSETIFF, &request), 0) << strerror(errno);
  }
  ~Driver() { close(fd_); }

 private:
  int fd_;
};

class TapTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) != 0)
      GTEST_SKIP() << "needs root and /dev/net/tun";
    home_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs network namespaces";
  }
  void TearDown() override {
    if (home_ < 0) return;
    EXPECT_EQ(setns(home_, CLONE_NEWNET), 0);
    close(home_);
  }

  static tl::expected<std::unique_ptr<Tap>, std::string> open_front(const std::string& instance = "one") {
    return Tap::open({instance, "front", "teal0"});
  }
  static std::string error_of_front() {
    const auto tap = open_front();
    return tap ? "" : tap.error();
  }
  static bool exists(const std::string& interface) { return if_nametoindex(interface.c_str()) != 0; }

  int home_ = -1;
};

TEST_F(TapTest, KeepsAddressesRoutesAndNumberWithoutAProcess) {
  uint32_t number = 0;
  {
    const auto tap = open_front();
    ASSERT_TRUE(tap) << tap.error();
    EXPECT_EQ((*tap)->interface(), "front");
    const Driver driver("front");
    ASSERT_TRUE((*tap)->take_control());
    number = if_nametoindex("front");
    EXPECT_EQ(output_of("ip address add 198.18.1.1/24 dev front && ip link set front up && "
                        "ip route add 198.18.7.0/24 via 198.18.1.2"),
              "");
  }
  ASSERT_TRUE(open_front());
  EXPECT_EQ(if_nametoindex("front"), number);
  EXPECT_THAT(output_of("ip -o address show dev front"), HasSubstr("198.18.1.1/24"));
  EXPECT_THAT(output_of("ip route show dev front"), HasSubstr("198.18.7.0/24 via 198.18.1.2"));
}

TEST_F(TapTest, CarrierFollowsTheLink) {
  const auto tap = open_front();
  const Driver driver("front");
  ASSERT_TRUE((*tap)->take_control());
  EXPECT_EQ(output_of("ip link set front up"), "");
  EXPECT_THAT(output_of("ip link show front"), HasSubstr("LOWER_UP"));
  (*tap)->set_carrier(false);
  EXPECT_THAT(output_of("ip link show front"), HasSubstr("NO-CARRIER"));
  (*tap)->set_carrier(true);
  EXPECT_THAT(output_of("ip link show front"), HasSubstr("LOWER_UP"));
}

TEST_F(TapTest, LinkOfAnInterfaceThatTheKernelKeeps) {
  EXPECT_EQ(output_of("ip link add near type veth peer name far && ip link set near up"), "");
  EXPECT_EQ(has_link("near"), false);
  EXPECT_EQ(output_of("ip link set far up"), "");
  EXPECT_EQ(has_link("near"), true);
  EXPECT_EQ(has_link("not-there"), std::nullopt);
}

TEST_F(TapTest, FormerTapIsTakenOverWithWhatIsConfiguredOnIt) {
  EXPECT_EQ(
      output_of("ip tuntap add mode tap multi_queue name teal0 && ip address add 198.18.1.1/24 dev teal0"),
      "");
  const uint32_t number = if_nametoindex("teal0");
  const auto tap = open_front();
  ASSERT_TRUE(tap) << tap.error();
  EXPECT_EQ((*tap)->interface(), "front");
  EXPECT_EQ(if_nametoindex("front"), number);
  EXPECT_THAT(output_of("ip -o address show dev front"), HasSubstr("198.18.1.1/24"));
  EXPECT_FALSE(exists("teal0"));
}

TEST_F(TapTest, FormerTapThatAnotherDataplaneHasOpenIsLeftAlone) {
  const Driver other("teal0");
  ASSERT_TRUE(open_front());
  EXPECT_TRUE(exists("front"));
  EXPECT_TRUE(exists("teal0"));
}

TEST_F(TapTest, FormerTapIsLeftAloneOnceThePortHasItsOwn) {
  EXPECT_EQ(output_of("ip tuntap add mode tap multi_queue name teal0"), "");
  EXPECT_EQ(output_of("ip tuntap add mode tap multi_queue name front"), "");
  ASSERT_TRUE(open_front());
  EXPECT_TRUE(exists("teal0"));
}

TEST_F(TapTest, TapWithoutMultiQueueIsRefusedAndTheErrorSaysSo) {
  EXPECT_EQ(output_of("ip tuntap add mode tap name front"), "");
  EXPECT_EQ(error_of_front(),
            "TAP front was made without multi_queue; remove it (ip link delete front), or make it with `ip "
            "tuntap add mode tap multi_queue name front`");
}

TEST_F(TapTest, InterfaceThatIsNoTapIsRefused) {
  EXPECT_EQ(output_of("ip link add front type bridge"), "");
  EXPECT_EQ(error_of_front(), "the interface front exists and is not a TAP: give the port another name");
  EXPECT_EQ(output_of("ip link delete front && ip tuntap add mode tun multi_queue name front"), "");
  EXPECT_EQ(error_of_front(), "the interface front exists and is not a TAP: give the port another name");
}

TEST_F(TapTest, TapThatAnotherProcessHasOpenIsRefused) {
  const Driver other("front");
  EXPECT_THAT(error_of_front(), HasSubstr(kOtherProcess));
}

TEST_F(TapTest, DetachRemovesTheTapsOfItsInstanceAndNoOthers) {
  EXPECT_EQ(output_of("ip tuntap add mode tap multi_queue name operators"), "");
  ASSERT_TRUE(open_front("one"));
  ASSERT_TRUE(Tap::open({"one", "removed", "teal1"}));
  ASSERT_TRUE(Tap::open({"one", "operators", "teal2"}));
  ASSERT_TRUE(Tap::open({"another", "back", "teal3"}));
  const auto taps = remove_taps("one");
  ASSERT_TRUE(taps) << taps.error();
  EXPECT_THAT(taps->removed, ElementsAre("front", "removed"));
  EXPECT_THAT(taps->in_use, IsEmpty());
  EXPECT_FALSE(exists("front"));
  EXPECT_TRUE(exists("operators")) << "the operator made it";
  EXPECT_TRUE(exists("back")) << "of another instance";
}

TEST_F(TapTest, DetachKeepsATapThatADataplaneHasOpen) {
  const auto tap = open_front();
  const Driver driver("front");
  const auto taps = remove_taps("one");
  ASSERT_TRUE(taps) << taps.error();
  EXPECT_THAT(taps->removed, IsEmpty());
  EXPECT_THAT(taps->in_use, ElementsAre("front"));
  EXPECT_TRUE(exists("front"));
}

TEST_F(TapTest, DetachKeepsTheTapOfARunningDataplaneWhoseLinkIsDown) {
  const auto tap = open_front();
  const Driver driver("front");
  (*tap)->set_carrier(false);
  const auto taps = remove_taps("one", {"front"});
  ASSERT_TRUE(taps) << taps.error();
  EXPECT_THAT(taps->in_use, ElementsAre("front"));
  EXPECT_TRUE(exists("front"));
}

}  // namespace
}  // namespace teal
