// SPDX-License-Identifier: Apache-2.0
//
// A TAP interface represents a port that DPDK owns in the kernel. It has the port's name. The operator gives
// it the addresses and routes of the port.
//
// The interface is persistent, so it outlives teal-dataplane with everything that the operator configured.
// Its alias (`ip link show`) names the instance and the port. `teal-dataplane --detach` removes every
// interface with an alias of its instance, even if the config no longer has the port. An interface that the
// operator made gets no alias, and Teal never removes it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace teal {

class Tap {
 public:
  struct Names {
    std::string instance;  // of the run directory
    std::string port;      // the interface gets this name
    std::string former;    // "teal0", "teal1", ...: its name before ports gave it theirs
  };

  // Finds or makes the interface. If only an interface with the former name exists, it is taken over and
  // renamed. A kernel before 6.2 does not rename an interface that is up: its name stays, and the log
  // says so. If another process has the interface open, such as a killed dataplane, waits up to 2 s.
  static tl::expected<std::unique_ptr<Tap>, std::string> open(const Names& names);
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  const std::string& interface() const { return interface_; }
  // Call it once DPDK's driver has the interface open: the first process that opens it decides the format of
  // the packets, and the driver has its own.
  tl::expected<void, std::string> take_control();
  // Tells the kernel whether the port has a link. Without a link the kernel forgets the neighbours behind the
  // port. Needs take_control().
  void set_carrier(bool up) const;

 private:
  explicit Tap(std::string interface) : interface_(std::move(interface)) {}

  std::string interface_;
  int fd_ = -1;  // a queue that is detached, so no packet comes by it
};

struct RemovedTaps {
  std::vector<std::string> removed;
  std::vector<std::string> in_use;  // a process has them open
};

// Removes the interfaces that an instance made and that no process has open. `used` are names of interfaces
// that a running dataplane has: while the link of its NIC is down, such an interface looks closed.
tl::expected<RemovedTaps, std::string> remove_taps(const std::string& instance,
                                                   const std::vector<std::string>& used = {});

}  // namespace teal
