// SPDX-License-Identifier: Apache-2.0
//
// What the checks over the network share: a socket that ends without a trace, a deadline, and words for
// errors.
#pragma once

#include <memory>
#include <string>

#include "control/loop/coroutine.h"
#include "control/prober/checks.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

namespace teal {

// Runs a function once if the time is over before this object ends.
class Deadline {
 public:
  template <typename Executor>
  Deadline(const Executor& executor, std::chrono::milliseconds timeout, std::function<void()> act)
      : timer_(executor, timeout), state_(std::make_shared<State>(State{std::move(act)})) {
    timer_.async_wait([state = state_](const boost::system::error_code& cancelled) {
      if (cancelled || state->is_over) return;
      state->has_passed = true;
      state->act();
    });
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { state_->is_over = true; }  // the handler may be queued already

  bool has_passed() const { return state_->has_passed; }

 private:
  struct State {
    std::function<void()> act;
    bool has_passed = false;
    bool is_over = false;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

// A TCP socket whose end is a RST (SO_LINGER with a time of 0). So neither end keeps a TIME_WAIT, and a
// server that does not read frees its side at once.
class AbortedSocket {
 public:
  explicit AbortedSocket(const asio::any_io_executor& executor) : socket(executor) {}
  AbortedSocket(const AbortedSocket&) = delete;
  AbortedSocket& operator=(const AbortedSocket&) = delete;
  ~AbortedSocket() { close(); }  // asio's destructor alone would take the linger option back

  // Returns an error if this host has no socket left.
  boost::system::error_code open(const asio::ip::tcp::endpoint& endpoint);
  void close() {
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  asio::ip::tcp::socket socket;
};

asio::ip::address address_of(const IpAddress& address);
uint16_t checked_port(const CheckOrder& order);  // the check's, else the backend's

// Returns the result for an error of a socket. `has_timed_out` says that the deadline has closed it.
CheckResult result_of(const boost::system::error_code& error, bool has_timed_out,
                      std::chrono::milliseconds timeout);

}  // namespace teal
