// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/connection.h"

#include <array>
#include <exception>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>

#include <poll.h>
#include <sys/socket.h>

#include "control/api/http/event_stream.h"
#include "dataplane/config/config_reader.h"

namespace teal {

// GCC 12 destroys some temporaries of a co_await expression twice, for example in conditional operators and
// braces. So the arguments of awaited calls in this file are named variables.
namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kFirstRead = 1024;          // bytes
constexpr size_t kMaxDrained = 1024 * 1024;  // bytes that are read and ignored after a refusal
constexpr auto kDrainFor = std::chrono::seconds(1);
constexpr size_t kSmallBuffer = 4096;                      // a larger buffer is freed between requests
constexpr auto kReadTime = std::chrono::milliseconds(10);  // enough to read what a client has sent already
constexpr size_t kMaxDuringStream = 64 * 1024;             // bytes that a client may send during a stream

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

std::optional<uint32_t> peer_uid(Connection::Socket& socket) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  if (peer.uid == UINT32_MAX) return std::nullopt;  // the kernel's answer for TCP
  return peer.uid;
}

// Returns the answer to a request that could not be read; nullopt if the client is gone.
std::optional<Refusal> unreadable(const error_code& error, const ServerLimits& limits) {
  if (error == http::error::body_limit)
    return Refusal{413, "bad_request", fmt::format("the body is larger than {} bytes", limits.body_bytes),
                   ""};
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return Refusal{413, "bad_request", fmt::format("the header is larger than {} bytes", limits.header_bytes),
                   ""};
  // end_of_stream: the client is done. partial_message: the client closed the connection within a request.
  // Errors of other categories come from the socket.
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::end_of_stream).category())
    return Refusal::bad_request("not a valid HTTP/1.1 request: " + error.message());
  return std::nullopt;
}

Refusal too_late(const ServerLimits& limits) {
  return {408, "request_timeout",
          fmt::format("the request was not complete {} after its first byte", duration_text(limits.request)),
          ""};
}

// The type without its parameters is what counts: "application/json; charset=utf-8" is JSON.
std::optional<Refusal> refused_type(const http::request<http::string_body>& message) {
  const auto value = message[http::field::content_type];
  const std::string given(value.data(), value.size());
  const std::string type = given.substr(0, given.find_first_of("; \t"));
  if (message.count(http::field::content_type) == 1 && boost::beast::iequals(type, "application/json"))
    return std::nullopt;
  return Refusal{415, "unsupported_media_type",
                 given.empty()
                     ? std::string("the header Content-Type is missing, expected application/json")
                     : fmt::format("the header Content-Type is \"{}\", expected application/json", given),
                 "curl: -H 'Content-Type: application/json'"};
}

Refusal too_many(std::string message) {
  return {503, "too_many_connections", std::move(message), "try again in a second"};
}

// A bug or a lack of memory ends one connection; the others go on.
void report_failure(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    spdlog::error("a connection to the API failed: {}", error.what());
  }
}

}  // namespace

struct Connection::Incoming {
  http::request_parser<http::string_body> parser;

  const http::request<http::string_body>& message() const { return parser.get(); }
  std::string method() const { return std::string(message().method_string()); }
  std::string target() const { return {message().target().data(), message().target().size()}; }
  bool expects_continue() const {
    return message().version() >= 11 && boost::beast::iequals(message()[http::field::expect], "100-continue");
  }
  bool is_post() const { return message().method() == http::verb::post; }
  bool is_read() const {
    return message().method() == http::verb::get || message().method() == http::verb::head;
  }
};

void send_and_close(Connection::Socket& socket, std::string_view text) {
  error_code ignored;
  if (!text.empty()) {
    std::array<char, 4096> rest;
    for (int i = 0; i < 16; ++i)
      if (::recv(socket.native_handle(), rest.data(), rest.size(), MSG_DONTWAIT) <= 0) break;
    (void)::send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    socket.shutdown(Connection::Socket::shutdown_send, ignored);
  }
  socket.close(ignored);
}

Connection::Connection(Socket socket, std::shared_ptr<ServerCore> core)
    : socket_(std::move(socket)),
      core_(std::move(core)),
      buffer_(core_->limits.header_bytes + core_->limits.body_bytes + kFirstRead),
      timer_(socket_.get_executor()),
      uid_(peer_uid(socket_)) {
  core_->slots.take(*this);
}

Connection::~Connection() {
  core_->slots.release(*this);
}

void serve(std::shared_ptr<Connection> connection) {
  const auto answer_all = [](std::shared_ptr<Connection> served) -> Task<void> {
    bool more = true;
    while (more) more = co_await served->serve_one();
  };
  const auto keep_time = [](std::shared_ptr<Connection> served) -> Task<void> {
    co_await served->keep_time();
  };
  const auto executor = connection->executor();
  asio::co_spawn(executor, answer_all(connection), [connection](std::exception_ptr thrown) {
    report_failure(thrown);
    connection->hang_up("");
  });
  asio::co_spawn(executor, keep_time(connection), report_failure);
}

Task<bool> Connection::serve_one() {
  Incoming incoming;
  incoming.parser.header_limit(static_cast<uint32_t>(core_->limits.header_bytes));
  incoming.parser.body_limit(core_->limits.body_bytes);
  core_->slots.begin_waiting(*this);
  waiting_since_ = core_->clock.now();
  in_request_ = false;
  const tl::expected<bool, Refusal> read_whole = co_await read(incoming);
  core_->slots.end_waiting(*this);
  waiting_since_.reset();
  stop_timer();
  if (!socket_.is_open()) co_return false;  // closed for another client: the request is not executed
  if (!read_whole) {
    const Refusal& refusal = read_whole.error();
    co_await refuse(refusal);
    co_return false;
  }
  if (!*read_whole) co_return false;
  // The memory of a large request is freed before the wait for the next one.
  if (buffer_.size() == 0 && buffer_.capacity() > kSmallBuffer) buffer_.shrink_to_fit();
  const bool more = co_await answer(incoming);
  co_return more;
}

// Returns false if no request came: the client is done or gone, or the server closed the connection.
Task<tl::expected<bool, Refusal>> Connection::read(Incoming& incoming) {
  error_code error;
  if (buffer_.size() == 0) {
    close_after(core_->limits.idle, "");
    const auto space = buffer_.prepare(kFirstRead);
    const size_t bytes = co_await socket_.async_read_some(space, into(error));
    buffer_.commit(bytes);
    if (error) co_return false;
  }
  in_request_ = true;
  const Clock::Time late_at = core_->clock.now() + core_->limits.request;
  close_at(late_at, as_last_answer(too_late(core_->limits)));
  co_await http::async_read_header(socket_, buffer_, incoming.parser, into(error));
  if (!error) {
    if (std::optional<Refusal> refusal = header_refusal(incoming)) {
      core_->on_refused(uid_, incoming.method() + " " + incoming.target(), *refusal);
      co_return tl::unexpected(std::move(*refusal));
    }
    if (incoming.expects_continue()) {
      const bool told = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!told) co_return false;
      close_at(late_at, as_last_answer(too_late(core_->limits)));  // the write has ended this limit
    }
    co_await http::async_read(socket_, buffer_, incoming.parser, into(error));
  }
  if (!error) co_return true;
  std::optional<Refusal> refusal = unreadable(error, core_->limits);
  if (refusal) co_return tl::unexpected(std::move(*refusal));
  co_return false;
}

// Returns a refusal if the header shows that this server does not accept the request.
std::optional<Refusal> Connection::header_refusal(const Incoming& incoming) const {
  const auto& message = incoming.message();
  // Browsers name the origin of a page's request. Nobody else sends this header.
  if (message.count(http::field::origin) != 0)
    return Refusal{403, "cross_origin",
                   fmt::format("the request has the header Origin, \"{}\": teald answers no web pages",
                               std::string(message[http::field::origin])),
                   ""};
  if (core_->is_loopback) {
    const std::string host(message[http::field::host]);
    if (message.count(http::field::host) != 1 || !is_loopback_host(host))
      return Refusal{421, "wrong_host",
                     fmt::format("the Host header is \"{}\", expected a loopback address or localhost", host),
                     ""};
  }
  if (core_->read_only && !incoming.is_read())
    return Refusal{
        403, "read_only",
        fmt::format("{} is read-only: it accepts GET and HEAD, not {}", core_->name, incoming.method()),
        "send changes to " + core_->changes_at};
  // A web page can make a browser send a POST of some other types without asking teald first.
  return incoming.is_post() ? refused_type(message) : std::nullopt;
}

// Answers the request. Returns whether another request may follow.
Task<bool> Connection::answer(const Incoming& incoming) {
  const http::request<http::string_body>& message = incoming.message();
  const bool is_head = message.method() == http::verb::head;
  Request request;
  request.method = is_head ? "GET" : incoming.method();
  request.body = message.body();
  request.uid = uid_;
  request.is_of_operator = !core_->read_only;
  request.client_is_gone = [this] { return client_is_gone(); };
  if (const auto at = message.find("Last-Event-ID"); at != message.end())
    request.last_event_id = std::string(at->value());
  if (const auto at = message.find("Teal-Login-Uid"); at != message.end())
    request.login_uid = std::string(at->value());

  core_->slots.begin_serving();
  Response response;
  if (const auto parsed = parse_request_target(incoming.target(), request); !parsed) {
    response = refused(parsed.error());
  } else if (core_->slots.only_reserved_left() && request.method == "GET") {
    response = refused(too_many("the remaining connections are reserved for changes"));
  } else {
    response = co_await handle(request);
  }
  HeadOptions head{.version = message.version(),
                   .keep_alive = message.keep_alive() && !core_->slots.closed()};
  bool written = false;
  if (response.events && !is_head) {
    head.keep_alive = false;
    written = co_await stream(response, head);
  } else {
    written = co_await send(response, head, is_head);
  }
  core_->slots.end_serving();
  was_answered_ = true;
  co_return written&& head.keep_alive;
}

// A client that has shut down its own side only still reads the answer: that is POLLRDHUP.
bool Connection::client_is_gone() {
  pollfd watched{.fd = socket_.native_handle(), .events = 0, .revents = 0};
  return uid_ && ::poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLERR)) != 0;
}

// A bug or a lack of memory fails this request only.
Task<Response> Connection::handle(const Request& request) const {
  try {
    Response response = co_await core_->handler(request);
    co_return response;
  } catch (const std::exception& error) {
    spdlog::error("{} {} failed: {}", request.method, request.path, error.what());
  }
  co_return refused({500, "internal", "the request failed; the log of teald has the reason", ""});
}

Task<bool> Connection::send(Response& response, HeadOptions& head, bool is_head) {
  const size_t unread = response.body.size();
  const bool is_admitted = core_->slots.begin_unread(unread);
  if (!is_admitted)
    response = refused(too_many(fmt::format("answers of more than {} bytes have not been read by clients yet",
                                            core_->limits.unread_bytes)));
  head.body_bytes = response.body.size();
  const std::string text = head_of(response, head);
  const std::string_view body = is_head ? std::string_view() : response.body;
  const bool written = co_await write(text, body);
  if (is_admitted) core_->slots.end_unread(unread);
  co_return written;
}

Task<bool> Connection::stream(Response& response, HeadOptions& head) {
  if (!core_->slots.begin_stream()) {
    response =
        refused(too_many(fmt::format("{} already has {} event streams", core_->name, core_->limits.streams)));
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
  core_->slots.end_stream();
  co_return begun;
}

// Reads on for a while after the answer: a client that is still sending would fail at the closed socket and
// not read the answer.
Task<void> Connection::refuse(const Refusal& refusal) {
  const std::string words = as_last_answer(refusal);
  if (!co_await write(words)) co_return;
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  close_after(kDrainFor, "");
  std::array<char, 4096> rest;
  for (size_t drained = 0; !error && drained < kMaxDrained;) {
    const size_t bytes = co_await socket_.async_read_some(asio::buffer(rest), into(error));
    drained += bytes;
  }
}

Task<bool> Connection::write(std::string_view head, std::string_view body) {
  const std::array<asio::const_buffer, 2> both = {asio::buffer(head.data(), head.size()),
                                                  asio::buffer(body.data(), body.size())};
  close_after(core_->limits.write, "");
  error_code error;
  co_await asio::async_write(socket_, both, into(error));
  stop_timer();
  co_return !error;
}

Task<void> Connection::wait_for_client_end() {
  error_code error;
  std::array<char, 256> ignored;
  for (size_t taken = 0; !error && taken < kMaxDuringStream;) {
    const size_t bytes = co_await socket_.async_read_some(asio::buffer(ignored), into(error));
    taken += bytes;
  }
}

bool Connection::is_silent() const {
  if (!waiting_since_ || core_->clock.now() < *waiting_since_ + kReadTime) return false;
  error_code error;
  return socket_.available(error) == 0;
}

void Connection::give_up_slot() {
  // An idle persistent connection may be closed at any time (RFC 9112, 9.5). Any other client gets an answer.
  const bool silent = was_answered_ && !in_request_;
  hang_up(silent ? ""
                 : as_last_answer(too_many(
                       "the connection sent no complete request, and another client needs its slot")));
}

void Connection::on_server_close() {
  if (stream_ != nullptr) return stream_->wake();
  if (waiting_since_) hang_up("");
}

void Connection::close_at(Clock::Time time, std::string last_words) {
  closes_at_ = time;
  last_words_ = std::move(last_words);
  timer_.cancel();
}

Task<void> Connection::keep_time() {
  while (socket_.is_open()) {
    co_await core_->clock.wait(timer_, closes_at_);
    if (core_->clock.now() >= closes_at_) hang_up(last_words_);
  }
}

void Connection::hang_up(std::string_view last_words) {
  core_->slots.release(*this);
  if (socket_.is_open()) send_and_close(socket_, last_words);
  timer_.cancel();
}

}  // namespace teal
