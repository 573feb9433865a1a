// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace teal {

// Returns how many IPv4 sockets of this machine in TIME_WAIT have this port at either end.
inline int in_time_wait(uint16_t port) {
  char wanted[8];
  std::snprintf(wanted, sizeof(wanted), ":%04X", port);
  int count = 0;
  std::ifstream table("/proc/net/tcp");
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string row, local, remote, state;
    words >> row >> local >> remote >> state;
    count += state == "06" && (local.ends_with(wanted) || remote.ends_with(wanted));
  }
  return count;
}

}  // namespace teal
