// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/connection.h"

#include <array>
#include <exception>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>

#include "control/api/http/event_stream.h"

namespace teal {

// GCC 12 destroys some temporaries of a co_await expression twice (those of conditional operators and of
// braces, for one): here what is awaited takes names only.
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kFirstRead = 1024;
constexpr size_t kMaxDrained = 1024 * 1024;
constexpr auto kDrainFor = std::chrono::seconds(1);
constexpr size_t kSmallBuffer = 4096;
constexpr auto kReadingTakes = std::chrono::milliseconds(10);
constexpr size_t kMaxDuringStream = 64 * 1024;

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

std::optional<uint32_t> peer_uid(Connection::Socket& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  if (peer.uid == UINT32_MAX) return std::nullopt;  // what TCP says
  return peer.uid;
}

// A request that could not be read: what to say to it, or nothing if there is nobody to say it to.
std::optional<Refusal> unreadable(const error_code& error, const ServerLimits& limits) {
  if (error == http::error::body_limit)
    return Refusal{413, "bad_request", fmt::format("the body is larger than {} bytes", limits.body_bytes),
                   ""};
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return Refusal{413, "bad_request", fmt::format("the header is larger than {} bytes", limits.header_bytes),
                   ""};
  // end_of_stream is a client that is done, partial_message one that went away; other categories are the
  // socket's.
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::end_of_stream).category())
    return Refusal::bad_request("no HTTP/1.1 request: " + error.message());
  return std::nullopt;
}

Refusal too_late(const ServerLimits& limits) {
  return {408, "request_timeout",
          fmt::format("the request had not arrived {} ms after its first byte", limits.request.count()), ""};
}

Refusal crowded(std::string message) {
  return {503, "too_many_connections", std::move(message), "try again in a second"};
}

}  // namespace

struct Connection::Incoming {
  http::request_parser<http::string_body> parser;

  const http::request<http::string_body>& message() const { return parser.get(); }
  std::string method() const { return std::string(message().method_string()); }
  bool asks_first() const {
    return message().version() >= 11 && boost::beast::iequals(message()[http::field::expect], "100-continue");
  }
  bool is_read() const {
    return message().method() == http::verb::get || message().method() == http::verb::head;
  }
};

void say_and_close(Connection::Socket& socket, std::string_view words) {
  error_code ignored;
  if (!words.empty()) {
    std::array<char, 4096> rest;
    for (int i = 0; i < 16; ++i)
      if (::recv(socket.native_handle(), rest.data(), rest.size(), MSG_DONTWAIT) <= 0) break;
    (void)::send(socket.native_handle(), words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    socket.shutdown(Connection::Socket::shutdown_send, ignored);
  }
  socket.close(ignored);
}

Connection::Connection(Socket socket, std::shared_ptr<ServerCore> core)
    : socket_(std::move(socket)),
      core_(std::move(core)),
      buffer_(core_->limits.header_bytes + core_->limits.body_bytes + kFirstRead),
      patience_(socket_.get_executor()),
      uid_(peer_uid(socket_)) {
  core_->places.enter(*this);
}

Connection::~Connection() {
  core_->places.leave(*this);
}

Task<void> serve(std::shared_ptr<Connection> connection) {
  bool more = true;
  while (more) more = co_await connection->serve_one();
  connection->hang_up("");
}

Task<bool> Connection::serve_one() {
  Incoming incoming;
  incoming.parser.header_limit(static_cast<uint32_t>(core_->limits.header_bytes));
  incoming.parser.body_limit(core_->limits.body_bytes);
  core_->places.begin_waiting(*this);
  waits_since_ = std::chrono::steady_clock::now();
  in_request_ = false;
  const tl::expected<bool, Refusal> read_whole = co_await read(incoming);
  core_->places.end_waiting(*this);
  waits_since_.reset();
  in_time();
  if (!socket_.is_open()) co_return false;  // sent away: what has been read meanwhile is not done
  if (!read_whole) {
    const Refusal& refusal = read_whole.error();
    co_await refuse(refusal);
    co_return false;
  }
  if (!*read_whole) co_return false;
  // What the largest request took is not kept for the next one.
  if (buffer_.size() == 0 && buffer_.capacity() > kSmallBuffer) buffer_.shrink_to_fit();
  const bool more = co_await answer(incoming);
  co_return more;
}

// False: there is none, as the client is done, gone or sent away.
Task<tl::expected<bool, Refusal>> Connection::read(Incoming& incoming) {
  error_code error;
  if (buffer_.size() == 0) {
    give_up_after(core_->limits.idle, "");
    const auto space = buffer_.prepare(kFirstRead);
    const size_t bytes = co_await socket_.async_read_some(space, into(error));
    buffer_.commit(bytes);
    if (error) co_return false;
  }
  in_request_ = true;
  give_up_after(core_->limits.request, as_last_answer(too_late(core_->limits)));
  co_await http::async_read_header(socket_, buffer_, incoming.parser, into(error));
  if (!error) {
    if (std::optional<Refusal> refusal = not_for_here(incoming))
      co_return tl::unexpected(std::move(*refusal));
    if (incoming.asks_first()) {
      const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!told) co_return false;
    }
    co_await http::async_read(socket_, buffer_, incoming.parser, into(error));
  }
  if (!error) co_return true;
  std::optional<Refusal> refusal = unreadable(error, core_->limits);
  if (refusal) co_return tl::unexpected(std::move(*refusal));
  co_return false;
}

// What can be told from the header: this server does not take it.
std::optional<Refusal> Connection::not_for_here(const Incoming& incoming) const {
  const auto& message = incoming.message();
  if (core_->is_loopback) {
    const std::string host(message[http::field::host]);
    if (message.count(http::field::host) != 1 || !is_loopback_host(host))
      return Refusal{421, "wrong_host",
                     fmt::format("the Host header is \"{}\", expected a loopback address or localhost", host),
                     ""};
  }
  if (core_->read_only && !incoming.is_read())
    return Refusal{403, "read_only",
                   fmt::format("{} is for reading: GET and HEAD, not {}", core_->name, incoming.method()),
                   "changes are taken on " + core_->changes_at};
  return std::nullopt;
}

// Is there to be another request?
Task<bool> Connection::answer(const Incoming& incoming) {
  const http::request<http::string_body>& message = incoming.message();
  const bool is_head = message.method() == http::verb::head;
  Request request;
  request.method = is_head ? "GET" : incoming.method();
  request.body = message.body();
  request.uid = uid_;
  if (const auto at = message.find("Last-Event-ID"); at != message.end())
    request.last_event_id = std::string(at->value());

  core_->places.begin_serving();
  Response response;
  if (const auto parsed = parse_request_target({message.target().data(), message.target().size()}, request);
      !parsed) {
    response = refused(parsed.error());
  } else if (core_->places.only_changes() && request.method == "GET") {
    response = refused(crowded("all places that reads may take are taken"));
  } else {
    response = co_await handle(request);
  }
  HeadOptions head{.version = message.version(),
                   .keep_alive = message.keep_alive() && !core_->places.closed()};
  bool written = false;
  if (response.events && !is_head) {
    head.keep_alive = false;
    written = co_await stream(response, head);
  } else {
    written = co_await send(response, head, is_head);
  }
  core_->places.end_serving();
  was_answered_ = true;
  co_return written&& head.keep_alive;
}

// A bug, or no memory: this request fails, nothing else.
Task<Response> Connection::handle(const Request& request) const {
  try {
    Response response = co_await core_->handler(request);
    co_return response;
  } catch (const std::exception& error) {
    spdlog::error("{} {} failed: {}", request.method, request.path, error.what());
  }
  co_return refused({500, "internal", "the request failed; the journal of teald says why", ""});
}

Task<bool> Connection::send(Response& response, HeadOptions& head, bool is_head) {
  const size_t unread = response.body.size();
  const bool has_room = core_->places.begin_unread(unread);
  if (!has_room)
    response = refused(crowded(fmt::format("more than {} bytes of answers wait for clients to read them",
                                           core_->limits.unread_bytes)));
  head.body_bytes = response.body.size();
  const std::string text = head_of(response, head);
  const std::string_view body = is_head ? std::string_view() : response.body;
  const bool written = co_await write(text, body);
  if (has_room) core_->places.end_unread(unread);
  co_return written;
}

Task<bool> Connection::stream(Response& response, HeadOptions& head) {
  if (!core_->places.begin_stream()) {
    response =
        refused(crowded(fmt::format("{} has {} event streams already", core_->name, core_->limits.streams)));
    const bool written = co_await send(response, head, false);
    co_return written;
  }
  const bool is_chunked = head.version >= 11;
  head.framing = is_chunked ? Framing::kChunked : Framing::kUntilClose;
  EventStream stream(*this, response.events, is_chunked);
  stream_ = &stream;
  const std::string text = head_of(response, head);
  const bool begun = co_await write(text);
  if (begun) co_await stream.run();
  stream_ = nullptr;
  core_->places.end_stream();
  co_return begun;
}

// Whoever is still sending would otherwise meet a closed socket before it reads the answer.
Task<void> Connection::refuse(const Refusal& refusal) {
  const std::string words = as_last_answer(refusal);
  if (!co_await write(words)) co_return;
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  give_up_after(kDrainFor, "");
  std::array<char, 4096> rest;
  for (size_t drained = 0; !error && drained < kMaxDrained;) {
    const size_t bytes = co_await socket_.async_read_some(asio::buffer(rest), into(error));
    drained += bytes;
  }
}

Task<bool> Connection::write(std::string_view head, std::string_view body) {
  const std::array<asio::const_buffer, 2> both = {asio::buffer(head.data(), head.size()),
                                                  asio::buffer(body.data(), body.size())};
  give_up_after(core_->limits.write, "");
  error_code error;
  co_await asio::async_write(socket_, both, into(error));
  in_time();
  co_return !error;
}

Task<void> Connection::wait_for_its_end() {
  error_code error;
  std::array<char, 256> ignored;
  for (size_t taken = 0; !error && taken < kMaxDuringStream;) {
    const size_t bytes = co_await socket_.async_read_some(asio::buffer(ignored), into(error));
    taken += bytes;
  }
}

bool Connection::is_mute() const {
  if (!waits_since_ || std::chrono::steady_clock::now() < *waits_since_ + kReadingTakes) return false;
  error_code error;
  return socket_.available(error) == 0;
}

void Connection::give_up_place() {
  // A connection kept alive may be closed at any time (RFC 9112, 9.5); who waits for a first answer is told.
  const bool silent = was_answered_ && !in_request_;
  hang_up(silent ? "" : as_last_answer(crowded("the place is needed for a client that came with a request")));
}

void Connection::server_closes() {
  if (stream_ != nullptr) return stream_->wake();
  if (waits_since_) hang_up("");
}

// The time that a client has for what comes next. Afterwards the connection is closed, which ends whatever
// is under way on it, now or later.
void Connection::give_up_after(std::chrono::milliseconds patience, std::string last_words) {
  patience_.expires_after(patience);
  patience_.async_wait([connection = weak_from_this(), turn = ++turn_,
                        words = std::move(last_words)](const error_code& cancelled) {
    const std::shared_ptr<Connection> self = connection.lock();
    if (!cancelled && self && self->turn_ == turn) self->hang_up(words);
  });
}

void Connection::in_time() {
  ++turn_;
  patience_.cancel();
}

void Connection::hang_up(std::string_view last_words) {
  core_->places.leave(*this);
  in_time();
  if (socket_.is_open()) say_and_close(socket_, last_words);
}

}  // namespace teal
