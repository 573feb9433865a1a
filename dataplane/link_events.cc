// SPDX-License-Identifier: Apache-2.0
#include "dataplane/link_events.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <spdlog/spdlog.h>

namespace teal {

LinkEvents::LinkEvents() : fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  // The owner is set first: a message that comes without an owner raises no signal.
  const bool ready = fd_ >= 0 && fcntl(fd_, F_SETOWN, getpid()) == 0 &&
                     fcntl(fd_, F_SETFL, O_ASYNC | O_NONBLOCK) == 0 &&
                     bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (!ready)
    spdlog::warn(
        "changes of interfaces are noticed some 100 ms late: the kernel's messages about them are refused: "
        "{}",
        std::strerror(errno));
}

LinkEvents::~LinkEvents() {
  if (fd_ >= 0) close(fd_);
}

void LinkEvents::drain() const {
  char message[8192];
  // ENOBUFS says once that messages were lost.
  while (recv(fd_, message, sizeof(message), 0) >= 0 || errno == ENOBUFS || errno == EINTR) {
  }
}

}  // namespace teal
