// SPDX-License-Identifier: Apache-2.0
//
// The devices of a host that the test makes up, below a temporary directory.
#include "dataplane/config/host_devices.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace teal {
namespace {

namespace fs = std::filesystem;

constexpr char kNic[] = "0000:3b:00.0";

class HostDevices : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "/host-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    top_ = path;
    roots_ = {.sys = path + "/sys", .dev = path + "/dev"};
    fs::create_directories(top_ / "dev/vfio");
    std::ofstream(top_ / "dev/vfio/vfio");
  }
  void TearDown() override { fs::remove_all(top_); }

  fs::path device() const { return fs::path(roots_.sys) / "bus/pci/devices" / kNic; }
  void add_device(const std::string& driver) {
    fs::create_directories(device());
    if (!driver.empty()) fs::create_symlink("../../drivers/" + driver, device() / "driver");
  }
  void add_group() {
    fs::create_symlink("../../kernel/iommu_groups/7", device() / "iommu_group");
    std::ofstream(top_ / "dev/vfio/7");
  }
  void set_unsafe_mode(const char* value) {
    fs::create_directories(top_ / "sys/module/vfio/parameters");
    std::ofstream(top_ / "sys/module/vfio/parameters/enable_unsafe_noiommu_mode") << value << '\n';
  }
  std::string why(Access access = Access::kThisProcess) const {
    return why_pci_unusable(kNic, access, roots_);
  }

  fs::path top_;
  HostRoots roots_;
};

TEST_F(HostDevices, AbsentDevice) {
  EXPECT_EQ(why(), "this host has no PCI device 0000:3b:00.0");
}

TEST_F(HostDevices, DeviceWithoutADriver) {
  add_device("");
  add_group();
  EXPECT_EQ(why(),
            "no driver has PCI device 0000:3b:00.0: run `dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0`");
}

TEST_F(HostDevices, DeviceOfTheKernelsDriver) {
  add_device("ixgbe");
  add_group();
  EXPECT_EQ(
      why(),
      "PCI device 0000:3b:00.0 belongs to the kernel's driver ixgbe: run `dpdk-devbind.py --bind=vfio-pci "
      "0000:3b:00.0`");
}

// The kernel gives a device its IOMMU group before any driver has the device. It refuses to bind a device
// without a group to vfio-pci (EINVAL).
TEST_F(HostDevices, WithoutAnIommuVfioPciCannotBeBound) {
  const std::string cure =
      "; this host has no IOMMU in use, so `dpdk-devbind.py --bind=vfio-pci` would fail: switch the IOMMU on "
      "(in the firmware, and intel_iommu=on or amd_iommu=on on the kernel's command line), or run "
      "`dpdk-devbind.py --bind=uio_pci_generic 0000:3b:00.0`, or set enable_unsafe_noiommu_mode=1 of the "
      "module vfio";
  add_device("");
  EXPECT_EQ(why(), "no driver has PCI device 0000:3b:00.0" + cure);
  EXPECT_EQ(why(Access::kSomebody), why()) << "`teal check` says it, too";
  fs::remove_all(device());
  add_device("ixgbe");
  EXPECT_EQ(why(), "PCI device 0000:3b:00.0 belongs to the kernel's driver ixgbe" + cure);
}

// vfio then makes a group when it gets the device.
TEST_F(HostDevices, WithoutAnIommuVfioPciCanBeBoundInItsUnsafeMode) {
  add_device("ixgbe");
  set_unsafe_mode("N");
  EXPECT_NE(why().find("no IOMMU"), std::string::npos) << why();
  set_unsafe_mode("Y");
  EXPECT_TRUE(why().ends_with("driver ixgbe: run `dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0`")) << why();
  fs::remove_all(device());
  add_device("vfio-pci");
  fs::create_symlink("../../kernel/iommu_groups/0", device() / "iommu_group");
  std::ofstream(top_ / "dev/vfio/noiommu-0");
  EXPECT_EQ(why(), "");
}

TEST_F(HostDevices, GroupThatThisUserMayNotOpen) {
  add_device("vfio-pci");
  add_group();
  EXPECT_EQ(why(), "");
  ASSERT_EQ(chmod(top_.c_str(), 0755), 0);
  ASSERT_EQ(chmod((top_ / "dev/vfio/vfio").c_str(), 0666), 0);
  ASSERT_EQ(chmod((top_ / "dev/vfio/7").c_str(), 0000), 0);
  if (geteuid() == 0 && seteuid(65534) != 0) GTEST_SKIP() << "needs another user";
  const std::string user = std::to_string(geteuid());
  const std::string said = why(), anybody = why(Access::kSomebody);
  if (user == "65534") {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(said, "cannot open " + roots_.dev + "/vfio/7 as uid " + user +
                      ": Permission denied; give the file to the user of teal-dataplane");
  EXPECT_EQ(anybody, "") << "`teal check` runs as any user";
}

TEST_F(HostDevices, UsableDevices) {
  for (const char* driver : {"uio_pci_generic", "igb_uio", "mlx5_core"}) {
    fs::remove_all(device());
    add_device(driver);
    EXPECT_EQ(why(), "") << driver;
  }
}

TEST_F(HostDevices, ProblemsAreListedByPort) {
  DataplaneOptions options{.workers = 200};
  options.ports = {{.name = "front", .kind = DeviceKind::kPci, .device = kNic},
                   {.name = "back", .kind = DeviceKind::kAfXdp, .device = "not-there"},
                   {.name = "side", .kind = DeviceKind::kAfXdp, .device = "lo"},
                   {.name = "none", .kind = DeviceKind::kVdev, .device = "net_null0"}};
  EXPECT_EQ(
      device_problems(options, roots_),
      (std::vector<std::string>{
          "port front: this host has no PCI device 0000:3b:00.0",
          "port back: interface not-there: No such device",
          "port side: queues of lo: 1, expected one for each of 200 workers: run `ethtool -L lo combined "
          "200`, or set fewer workers"}));
}

// A NIC has a queue for each CPU by default.
TEST(HostDevicesRoom, AnAfXdpPortTakesADeviceForEachQueue) {
  DataplaneOptions options{.workers = 4};
  options.ports = {{.name = "front", .kind = DeviceKind::kAfXdp, .device = "eth1"},
                   {.name = "back", .kind = DeviceKind::kAfXdp, .device = "eth2"}};
  const auto of = [&](uint32_t queues) {
    return room_error(options, [&](const std::string&) { return queues; });
  };
  EXPECT_EQ(of(0), "") << "not known";
  EXPECT_EQ(of(15), "");
  EXPECT_EQ(of(16),
            "the ports need 33 devices of DPDK, expected at most 32: an AF_XDP port takes one for each queue "
            "of its interface: run `ethtool -L INTERFACE combined 4`");
}

}  // namespace
}  // namespace teal
