// SPDX-License-Identifier: Apache-2.0
//
// Tests against the real kernel. Each test makes two network namespaces:
//
//   here: front0 198.18.2.1/24 fd18:2::1/64 ---- back0 198.18.2.11/24 fd18:2::11/64 :there
//         (MAC 02:00:00:00:00:01)                (MAC 02:00:00:00:00:11)
#pragma once

#include "control/kernel/kernel_routes.h"

#include <utility>  // Asio (Boost 1.74) uses it without including it in C++20

#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/control/skipping_clock.h"

namespace teal {

using namespace std::chrono_literals;

// A child process with a network namespace of its own. Both live as long as this object.
class OtherNamespace {
 public:
  OtherNamespace() {
    int ready[2], hold[2];
    if (pipe(ready) != 0 || pipe(hold) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      char byte = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      close(hold[1]);
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      [[maybe_unused]] const auto end =
          read(hold[0], &byte, 1);  // ends when the parent closes its end of the pipe
      _exit(0);
    }
    char byte = 'n';
    usable_ = read(ready[0], &byte, 1) == 1 && byte == 'y';
    for (const int fd : {ready[0], ready[1], hold[0]}) close(fd);
    hold_ = hold[1];
  }
  ~OtherNamespace() {
    close(hold_);
    waitpid(pid_, nullptr, 0);
  }
  bool usable() const { return usable_; }
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
  int hold_ = -1;
  bool usable_ = false;
};

inline void shell(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

inline IpAddress address(const char* text) {
  return IpAddress::parse(text).value();
}
inline MacAddress mac(uint8_t last) {
  return {{2, 0, 0, 0, 0, last}};
}

class KernelRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root, for network namespaces";
    there_ = std::make_unique<OtherNamespace>();
    before_ = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (!there_->usable() || before_ < 0 || unshare(CLONE_NEWNET) != 0) {
      GTEST_SKIP() << "cannot make network namespaces here";
    }
    moved_ = true;
    shell("ip link set lo up");
    shell(
        "ip link add front0 address 02:00:00:00:00:01 type veth peer name back0 address 02:00:00:00:00:11 "
        "netns " +
        there_->pid());
    shell("sysctl -qw net.ipv6.conf.front0.accept_dad=0 && ip link set front0 up");
    in_other("sysctl -qw net.ipv6.conf.back0.accept_dad=0 && ip link set back0 up");
    // Once the links have their own addresses, the kernel sends no more notifications about them.
    const auto until_up = [](const std::string& link) {
      return "timeout 5 sh -c \"until ip addr show " + link +
             " scope link -tentative | grep -q fe80; do :; done\"";
    };
    shell(until_up("front0"));
    in_other(until_up("back0"));
    shell("ip addr add 198.18.2.1/24 dev front0 && ip addr add fd18:2::1/64 dev front0 nodad");
    in_other("ip addr add 198.18.2.11/24 dev back0 && ip addr add fd18:2::11/64 dev back0 nodad");
    front_ = if_nametoindex("front0");
    auto opened = KernelRoutes::open(io_, clock_, [this] { ++changes_; });
    ASSERT_TRUE(opened) << opened.error();
    routes_ = std::move(*opened);
    handle_changes();
  }
  void TearDown() override {
    routes_.reset();
    if (moved_) {
      ASSERT_EQ(setns(before_, CLONE_NEWNET), 0);
    }
    if (before_ >= 0) close(before_);
  }

  void in_other(const std::string& command) {
    shell("nsenter -t " + there_->pid() + " -n sh -c '" + command + "'");
  }

  // Handles the notifications that the kernel has sent, and lets `changed` be called for them.
  void handle_changes() {
    io_.restart();
    io_.poll();
    clock_.skip(KernelRoutes::kMergeTime);
    io_.poll();
  }
  // Handles notifications until `wanted` holds after a call of `changed`. Returns false after `limit`.
  template <typename Condition>
  bool changes_until(Condition wanted, std::chrono::seconds limit = 5s) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      const int before = changes_;
      io_.restart();
      io_.run_one_until(end);
      handle_changes();
      if (changes_ != before && wanted()) return true;
    }
    return false;
  }
  std::optional<MacAddress> mac_of(const char* text) {
    const auto route = routes_->lookup(address(text));
    return route ? route->mac : std::nullopt;
  }

  std::unique_ptr<OtherNamespace> there_;
  int before_ = -1;
  bool moved_ = false;
  uint32_t front_ = 0;
  int changes_ = 0;
  SkippingClock clock_;
  boost::asio::io_context io_;
  std::unique_ptr<KernelRoutes> routes_;
};

}  // namespace teal
