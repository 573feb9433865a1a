// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/server.h"

#include <exception>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/socket.h>

#include "control/api/http/connection.h"

namespace teal {

namespace {

using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;

constexpr auto kLookAgainForRoom = std::chrono::milliseconds(10);
constexpr auto kWarnEvery = std::chrono::seconds(10);

// A bug, or no memory: this connection ends, the others go on.
void report(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    spdlog::error("a connection of the API failed: {}", error.what());
  }
}

// Shared by the server and the coroutine that accepts, which may end after it.
struct Door {
  Acceptor acceptor;
  std::shared_ptr<ServerCore> core;
  Clock::time_point warned_at;

  // A place for one that has just come. It waits as long as places come free now and then; when they do not,
  // it is told, and those that come next at once.
  Task<bool> find_room() {
    while (!core->places.make_room()) {
      const Clock::time_point now = Clock::now();
      if (core->places.closed() || now >= core->places.stuck_since() + core->limits.patience) co_return false;
      co_await core->places.wait_for_room(now + kLookAgainForRoom);
    }
    co_return true;
  }

  void warn(std::string_view what) {
    if (Clock::now() < warned_at + kWarnEvery) return;
    warned_at = Clock::now();
    spdlog::warn("{}: {}", core->name, what);
  }
};

Task<void> accept(std::shared_ptr<Door> door) {
  ServerCore& core = *door->core;
  const auto executor = door->acceptor.get_executor();
  const std::string full =
      as_last_answer({503, "too_many_connections",
                      fmt::format("{} requests are being served on {}", core.limits.connections, core.name),
                      "try again in a second"});
  while (!core.places.closed()) {
    error_code error;
    Connection::Socket socket(executor);
    co_await door->acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (core.places.closed()) co_return;
    if (error) {  // no descriptors left, most likely
      door->warn("cannot accept: " + error.message());
      co_await sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    if (!co_await door->find_room()) {
      door->warn("all places are taken by requests that are being served, more are refused");
      say_and_close(socket, full);
      continue;
    }
    auto connection = std::make_shared<Connection>(std::move(socket), door->core);
    asio::co_spawn(executor, serve(std::move(connection)), report);
  }
}

class StreamServer : public Server {
 public:
  StreamServer(asio::io_context& io, Listener listener, Options options, Handler handler)
      : listener_(std::move(listener)),
        door_(std::make_shared<Door>(
            Door{Acceptor(io, asio::generic::stream_protocol(family(), 0), listener_.release_fd()),
                 std::make_shared<ServerCore>(ServerCore{
                     .name = listener_.name(),
                     .read_only = options.read_only,
                     .is_loopback = !listener_.is_unix(),
                     .changes_at = std::move(options.changes_at),
                     .limits = options.limits,
                     .handler = std::move(handler),
                     .places = ConnectionSlots(io.get_executor(), options.limits, !options.read_only)}),
                 {}})) {
    asio::co_spawn(io, accept(door_), report);
  }

  ~StreamServer() override {
    door_->core->places.close();
    error_code ignored;
    door_->acceptor.close(ignored);
  }

  Listener& listener() override { return listener_; }

 private:
  int family() const {
    if (listener_.is_unix()) return AF_UNIX;
    return listener_.endpoint().address.is_v4() ? AF_INET : AF_INET6;
  }

  Listener listener_;
  std::shared_ptr<Door> door_;
};

}  // namespace

std::unique_ptr<Server> Server::start(asio::io_context& io, Listener listener, Options options,
                                      Handler handler) {
  return std::make_unique<StreamServer>(io, std::move(listener), std::move(options), std::move(handler));
}

}  // namespace teal
