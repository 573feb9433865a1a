// SPDX-License-Identifier: Apache-2.0
//
// One client of a server: its requests, one after the other, each within its time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "control/api/http/connection_slots.h"
#include "control/api/http/limits.h"
#include "control/api/http/request.h"
#include "control/api/http/response.h"
#include "control/loop/coroutine.h"

namespace teal {

class EventStream;

// What the connections of a server share. It outlives the server as long as one of them is left.
struct ServerCore {
  std::string name;
  bool read_only = false;
  bool is_loopback = false;
  std::string changes_at;  // the socket that takes changes, for hints
  ServerLimits limits;
  std::function<Task<Response>(const Request&)> handler;
  ConnectionSlots places;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Connection(Socket socket, std::shared_ptr<ServerCore> core);
  ~Connection();

  // False: it was the last one.
  Task<bool> serve_one();
  void hang_up(std::string_view last_words);

  // For ConnectionSlots.
  bool is_mute() const;  // waits for a request, for longer than reading what is there takes
  void give_up_place();
  void server_closes();

  // For EventStream. Within the time to write; false: the client is gone, or does not take it.
  Task<bool> write(std::string_view head, std::string_view body = {});
  // Comes back when the client closes, or sends more than it should; what it sends is not looked at.
  Task<void> wait_for_its_end();
  const ServerCore& core() const { return *core_; }
  asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  struct Incoming;  // a request as Beast parses it

  Task<tl::expected<bool, Refusal>> read(Incoming& incoming);
  Task<bool> answer(const Incoming& incoming);
  std::optional<Refusal> not_for_here(const Incoming& incoming) const;
  Task<Response> handle(const Request& request) const;
  Task<bool> send(Response& response, HeadOptions& head, bool is_head);
  Task<bool> stream(Response& response, HeadOptions& head);
  Task<void> refuse(const Refusal& refusal);

  void give_up_after(std::chrono::milliseconds patience, std::string last_words);
  void in_time();

  Socket socket_;
  std::shared_ptr<ServerCore> core_;
  boost::beast::flat_buffer buffer_;
  asio::steady_timer patience_;
  uint64_t turn_ = 0;  // of the patience: an older timer that has fired already is not meant any more
  std::optional<uint32_t> uid_;
  std::optional<std::chrono::steady_clock::time_point> waits_since_;  // for a whole request
  bool in_request_ = false;                                           // its first byte has come
  bool was_answered_ = false;
  EventStream* stream_ = nullptr;
};

// All its requests, one after the other.
Task<void> serve(std::shared_ptr<Connection> connection);

// Non-blocking; closes the socket. What the client sent so far is read first: an unread rest would make the
// close a reset, and that may overtake the words.
void say_and_close(Connection::Socket& socket, std::string_view words);

}  // namespace teal
