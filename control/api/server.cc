// SPDX-License-Identifier: Apache-2.0
#include "control/api/server.h"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "control/api/router.h"

namespace teal {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using UnixStream = asio::local::stream_protocol;
using Stream = beast::basic_stream<UnixStream>;
using boost::system::error_code;

constexpr size_t kMostDrained = 1024 * 1024;

auto into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

uint32_t peer_uid(Stream& stream) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(stream.socket().native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return UINT32_MAX;
  return peer.uid;
}

// A request that could not be read: what to say to it, or nothing if there is nobody to say it to.
std::optional<Refusal> unreadable(const error_code& error) {
  if (error == http::error::body_limit)
    return Refusal{413, "bad_request", fmt::format("the body is larger than {} bytes", Server::kBodyLimit),
                   ""};
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return Refusal{413, "bad_request",
                   fmt::format("the header is larger than {} bytes", Server::kHeaderLimit), ""};
  // end_of_stream is a client that is done, partial_message one that went away; other categories are the
  // socket's.
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::end_of_stream).category())
    return Refusal::bad_request("no HTTP/1.1 request: " + error.message());
  return std::nullopt;
}

http::response<http::string_body> to_http(Response response, unsigned version, bool keep_alive) {
  http::response<http::string_body> out(static_cast<http::status>(response.status), version);
  out.set(http::field::content_type, "application/json");
  if (!response.allow.empty()) out.set(http::field::allow, response.allow);
  out.body() = std::move(response.body);
  out.body().push_back('\n');
  out.keep_alive(keep_alive);
  out.prepare_payload();
  return out;
}

Task<void> write(Stream& stream, http::response<http::string_body> response, error_code& error) {
  stream.expires_after(Server::kIdleTimeout);
  co_await http::async_write(stream, response, into(error));
}

// Whoever is still sending would otherwise meet a closed socket before it reads the answer.
Task<void> drain(Stream& stream) {
  error_code error;
  stream.socket().shutdown(UnixStream::socket::shutdown_send, error);
  stream.expires_after(std::chrono::seconds(1));
  char buffer[4096];
  for (size_t drained = 0; !error && drained < kMostDrained;)
    drained += co_await stream.async_read_some(asio::buffer(buffer), into(error));
}

Task<void> serve(UnixStream::socket socket, std::shared_ptr<const Server::Handler> handler,
                 [[maybe_unused]] std::shared_ptr<const int> place) {
  Stream stream(std::move(socket));
  beast::flat_buffer buffer(Server::kHeaderLimit + Server::kBodyLimit);
  for (bool keep_alive = true; keep_alive;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(Server::kHeaderLimit);
    parser.body_limit(Server::kBodyLimit);
    error_code error;
    stream.expires_after(Server::kIdleTimeout);
    co_await http::async_read(stream, buffer, parser, into(error));
    if (error) {
      const std::optional<Refusal> refusal = unreadable(error);
      if (!refusal) co_return;
      co_await write(stream, to_http(refused(*refusal), 11, false), error);
      co_await drain(stream);
      co_return;
    }
    const http::request<http::string_body>& message = parser.get();
    keep_alive = message.keep_alive();
    Request request;
    request.method = std::string(message.method_string());
    request.body = message.body();
    request.uid = peer_uid(stream);
    Response response;
    if (const auto parsed = parse_request_target({message.target().data(), message.target().size()}, request);
        !parsed) {
      response = refused(parsed.error());
    } else {
      stream.expires_never();
      response = co_await (*handler)(request);
    }
    co_await write(stream, to_http(std::move(response), message.version(), keep_alive), error);
    if (error) co_return;
  }
  error_code ignored;
  stream.socket().shutdown(UnixStream::socket::shutdown_send, ignored);
}

// A bug, or no memory: this connection ends, the others go on.
void report(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    spdlog::error("a request failed: {}", error.what());
  }
}

// Shared with the coroutine that accepts, which may end after the server.
struct Listener {
  explicit Listener(asio::io_context& io) : acceptor(io) {}

  UnixStream::acceptor acceptor;
  bool closed = false;
};

Task<void> accept(std::shared_ptr<Listener> listener, std::shared_ptr<const Server::Handler> handler) {
  const auto connections = std::make_shared<const int>();  // its count is theirs
  const auto executor = listener->acceptor.get_executor();
  while (!listener->closed) {
    error_code error;
    UnixStream::socket socket = co_await listener->acceptor.async_accept(into(error));
    if (listener->closed) co_return;
    if (error) {  // no descriptors left, most likely
      spdlog::warn("control.sock: cannot accept: {}", error.message());
      co_await sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    if (connections.use_count() > Server::kMostConnections) {
      spdlog::warn("control.sock: {} connections are open, one more is refused", Server::kMostConnections);
      continue;
    }
    asio::co_spawn(executor, serve(std::move(socket), handler, connections), report);
  }
}

class UnixServer : public Server {
 public:
  UnixServer(asio::io_context& io, std::string path)
      : listener_(std::make_shared<Listener>(io)), path_(std::move(path)) {}
  ~UnixServer() override {
    listener_->closed = true;
    error_code ignored;
    listener_->acceptor.close(ignored);
    if (bound_) ::unlink(path_.c_str());
  }

  tl::expected<void, std::string> open() {
    error_code error;
    listener_->acceptor.open(UnixStream(), error);
    if (error) return tl::unexpected(fmt::format("{}: {}", path_, error.message()));
    const mode_t before = ::umask(0117);  // bind gives the file 0777 less this; no moment with other rights
    listener_->acceptor.bind(UnixStream::endpoint(path_), error);
    ::umask(before);
    bound_ = !error;
    if (!error) listener_->acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return tl::unexpected(fmt::format("{}: cannot listen: {}", path_, error.message()));
    return {};
  }

  void start(Handler handler) {
    auto shared = std::make_shared<const Handler>(std::move(handler));
    asio::co_spawn(listener_->acceptor.get_executor(), accept(listener_, std::move(shared)), report);
  }

 private:
  std::shared_ptr<Listener> listener_;
  std::string path_;
  bool bound_ = false;
};

}  // namespace

tl::expected<std::unique_ptr<Server>, std::string> Server::listen(asio::io_context& io,
                                                                  const std::string& path, Handler handler) {
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return tl::unexpected(fmt::format("{}: {} bytes, the path of a socket has at most {}", path, path.size(),
                                      sizeof(sockaddr_un::sun_path) - 1));
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode))
      return tl::unexpected(path + ": is there and is no socket, so it is not removed");
    if (::unlink(path.c_str()) != 0)
      return tl::unexpected(fmt::format("{}: cannot remove it: {}", path, std::strerror(errno)));
    spdlog::info("{}: removed the socket of a daemon that is gone", path);
  }
  auto server = std::make_unique<UnixServer>(io, path);
  if (auto opened = server->open(); !opened) return tl::unexpected(opened.error());
  server->start(std::move(handler));
  return server;
}

}  // namespace teal
