// SPDX-License-Identifier: Apache-2.0
//
// One client of a server. A connection reads the client's requests one after the other, and each step has a
// time limit.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "control/api/http/connection_slots.h"
#include "control/api/http/limits.h"
#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/loop/clock.h"

namespace teal {

class EventStream;

// State that a server and its connections share. It lives until the server and the last connection have
// ended.
struct ServerCore {
  const Clock& clock;
  std::string name;
  bool read_only = false;
  bool is_loopback = false;
  std::string changes_at;  // path of the socket that accepts changes, for hints
  ServerLimits limits;
  std::function<Task<Response>(const Request&)> handler;
  OnRefused on_refused;
  ConnectionSlots slots;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Connection(Socket socket, std::shared_ptr<ServerCore> core);
  ~Connection();

  // Reads and answers one request. Returns false if no other request follows.
  Task<bool> serve_one();
  // Closes the connection when the time limit of its present step is reached. Ends with the connection.
  Task<void> keep_time();
  // Sends the text, if any, and closes the connection.
  void hang_up(std::string_view last_words);

  // For ConnectionSlots.
  //
  // True if the connection waits for a request and the client has sent nothing that is unread. A connection
  // that began to wait only now has yet to read what is there, so it is not silent.
  bool is_silent() const;
  void give_up_slot();
  void on_server_close();

  // For EventStream.
  //
  // Writes within the time limit. Returns false if the client is gone or does not read.
  Task<bool> write(std::string_view head, std::string_view body = {});
  // Returns when the client closes the connection, or sends too much. Received bytes are ignored.
  Task<void> wait_for_client_end();
  const ServerCore& core() const { return *core_; }
  asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  struct Incoming;  // Beast's parser of a request

  Task<tl::expected<bool, Refusal>> read(Incoming& incoming);
  Task<bool> answer(const Incoming& incoming);
  std::optional<Refusal> header_refusal(const Incoming& incoming) const;
  bool client_is_gone();
  Task<Response> handle(const Request& request) const;
  Task<bool> send(Response& response, HeadOptions& head, bool is_head);
  Task<bool> stream(Response& response, HeadOptions& head);
  Task<void> refuse(const Refusal& refusal);

  // Limits the time of the next step. At that time the connection is closed, and every operation on it ends
  // with an error.
  void close_at(Clock::Time time, std::string last_words);
  void close_after(std::chrono::milliseconds limit, std::string last_words) {
    close_at(core_->clock.now() + limit, std::move(last_words));
  }
  void stop_timer() { closes_at_ = Clock::Time::max(); }

  Socket socket_;
  std::shared_ptr<ServerCore> core_;
  boost::beast::flat_buffer buffer_;
  Clock::Time closes_at_ = Clock::Time::max();
  std::string last_words_;
  asio::steady_timer timer_;  // of keep_time(), cancelled when closes_at_ may have become earlier
  std::optional<uint32_t> uid_;
  std::optional<Clock::Time> waiting_since_;  // for a whole request
  bool in_request_ = false;                   // its first byte has arrived
  bool was_answered_ = false;
  EventStream* stream_ = nullptr;
};

// Serves all requests of a connection, one after the other, and closes it.
void serve(std::shared_ptr<Connection> connection);

// Sends the text without blocking, and closes the socket. First reads what the client has sent: with unread
// bytes the close would become a reset, and the client might lose the text.
void send_and_close(Connection::Socket& socket, std::string_view text);

}  // namespace teal
