// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/server.h"

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
using boost::system::error_code;

constexpr auto kSlotPollInterval = std::chrono::milliseconds(10);
constexpr auto kAcceptAgainAfter = std::chrono::milliseconds(100);
constexpr auto kWarnEvery = std::chrono::seconds(10);

// Shared by the server and the coroutine that accepts connections, which may outlive the server.
struct AcceptLoop {
  Acceptor acceptor;
  std::shared_ptr<ServerCore> core;
  Clock::Time warned_at;

  // Waits for a free slot for a new connection. Returns false if no slot has become free for `slot_wait`.
  // Then the next connections are refused without a wait, until a slot becomes free.
  Task<bool> find_slot() {
    while (!core->slots.make_free_slot()) {
      const Clock::Time now = core->clock.now();
      if (core->slots.closed() || now >= core->slots.full_since() + core->limits.slot_wait) co_return false;
      co_await core->slots.wait_for_slot(now + kSlotPollInterval);
    }
    co_return true;
  }

  void warn(std::string_view what) {
    if (core->clock.now() < warned_at + kWarnEvery) return;
    warned_at = core->clock.now();
    spdlog::warn("{}: {}", core->name, what);
  }
};

Task<void> accept(std::shared_ptr<AcceptLoop> loop) {
  ServerCore& core = *loop->core;
  const auto executor = loop->acceptor.get_executor();
  const std::string full =
      as_last_answer({503, "too_many_connections",
                      fmt::format("{} already serves {} requests", core.name, core.limits.connections),
                      "try again in a second"});
  while (!core.slots.closed()) {
    error_code error;
    Connection::Socket socket(executor);
    co_await loop->acceptor.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
    if (core.slots.closed()) co_return;
    if (error) {  // usually no file descriptors are left
      loop->warn("cannot accept a connection: " + error.message());
      co_await core.clock.sleep(kAcceptAgainAfter);
      continue;
    }
    if (!co_await loop->find_slot()) {
      loop->warn("requests are being served on all connections; new connections are refused");
      send_and_close(socket, full);
      continue;
    }
    serve(std::make_shared<Connection>(std::move(socket), loop->core));
  }
}

class StreamServer : public Server {
 public:
  StreamServer(asio::io_context& io, const Clock& clock, Listener listener, Options options, Handler handler)
      : listener_(std::move(listener)),
        accept_loop_(std::make_shared<AcceptLoop>(AcceptLoop{
            Acceptor(io, asio::generic::stream_protocol(family(), 0), listener_.release_fd()),
            std::make_shared<ServerCore>(ServerCore{
                .clock = clock,
                .name = listener_.name(),
                .read_only = options.read_only,
                .is_loopback = !listener_.is_unix(),
                .changes_at = std::move(options.changes_at),
                .limits = options.limits,
                .handler = std::move(handler),
                .on_refused = std::move(options.on_refused),
                .slots = ConnectionSlots(io.get_executor(), clock, options.limits, !options.read_only)}),
            {}})) {
    asio::co_spawn(io, accept(accept_loop_), report_failure);
  }

  ~StreamServer() override {
    accept_loop_->core->slots.close();
    error_code ignored;
    accept_loop_->acceptor.close(ignored);
  }

  Listener& listener() override { return listener_; }

 private:
  int family() const {
    if (listener_.is_unix()) return AF_UNIX;
    return listener_.endpoint().address.is_v4() ? AF_INET : AF_INET6;
  }

  Listener listener_;
  std::shared_ptr<AcceptLoop> accept_loop_;
};

}  // namespace

std::unique_ptr<Server> Server::start(asio::io_context& io, const Clock& clock, Listener listener,
                                      Options options, Handler handler) {
  return std::make_unique<StreamServer>(io, clock, std::move(listener), std::move(options),
                                        std::move(handler));
}

}  // namespace teal
