// SPDX-License-Identifier: Apache-2.0
//
// teal-health's end of RUN_DIR/health.sock. It connects, reads lists of checks and writes reports. Without
// teald, the checks go on and it tries again: after 100 ms, then 200, 400, ... at most 2 s.
#pragma once

#include <functional>
#include <string>

#include "control/health/health_messages.h"
#include "control/loop/clock.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace teal {

class TealdLink {
 public:
  static constexpr std::chrono::milliseconds kFirstPause{100}, kLongestPause{2000};
  static constexpr size_t kMaxUnsent = 8 << 20;  // bytes; a teald that reads nothing loses the connection

  // `on_list` is called with each list of checks, `on_order` with each order to check now, and `on_hook` with
  // each order to run a hook.
  TealdLink(asio::io_context& io, std::string path, const Clock& clock,
            std::function<void(CheckList)> on_list, std::function<void(const CheckNow&)> on_order,
            std::function<void(HookOrder)> on_hook);

  // Run for ever. Both refer to this object until their io_context has ended.
  Task<void> run();
  Task<void> write();

  // Sends a line, or drops it if teald is not connected: each list is answered with all reports again.
  void send(std::string_view line);

 private:
  Task<void> read();
  void drop(const std::string& why);
  bool take(std::string_view line, std::string& why);

  const std::string path_;
  const Clock& clock_;
  std::function<void(CheckList)> on_list_;
  std::function<void(const CheckNow&)> on_order_;
  std::function<void(HookOrder)> on_hook_;
  asio::local::stream_protocol::socket socket_;
  asio::steady_timer pause_, wake_;
  bool is_connected_ = false, has_list_ = false;
  std::string problem_;  // that was logged
  std::string unsent_;
};

}  // namespace teal
