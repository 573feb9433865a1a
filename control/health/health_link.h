// SPDX-License-Identifier: Apache-2.0
//
// teald's end of RUN_DIR/health.sock. One prober at a time: it gets the list of checks, and its reports go to
// the board. Another one is refused, unless the first has been silent for HealthBoard::kLongestSilence: then
// it loses its place. A line that is not a message ends the connection; the prober connects again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/health/health_board.h"
#include "control/loop/coroutine.h"

#include <boost/asio/io_context.hpp>

namespace teal {

class HealthLink {
 public:
  // Takes a listening unix socket, which the caller need not close, and begins to accept. Only processes of
  // root and of `users` are served. `changed` is called after each portion of reports, and when a prober
  // comes or goes. `board` and `clock` outlive the coroutines that are left in `io`.
  HealthLink(asio::io_context& io, int listening_fd, HealthBoard& board, const Clock& clock,
             std::vector<uint32_t> users, std::function<void()> changed);
  ~HealthLink();

  // Sends the board's list to the prober, if one is connected. To be called after each change of the list.
  void send_list();
  // Asks for checks of these backends of the board's list now. Returns false if no prober would answer.
  bool ask_for(const std::vector<uint16_t>& backends);

  // Orders the hook, and calls done() once: with its end, or with nothing if the prober is gone first. The id
  // of the order is set here. Returns false, without a call, if no prober would answer.
  using OnHookDone = std::function<void(std::optional<HookDone>)>;
  bool order(HookOrder order, OnHookDone done);

 private:
  struct State;
  struct Peer;
  static Task<void> accept(std::shared_ptr<State> state);
  static Task<void> serve(std::shared_ptr<State> state, std::shared_ptr<Peer> peer);
  static std::string next_line(const State& state, Peer& peer);
  static Task<void> write(std::shared_ptr<State> state, std::shared_ptr<Peer> peer);

  std::shared_ptr<State> state_;
};

}  // namespace teal
