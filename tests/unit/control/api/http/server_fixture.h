// SPDX-License-Identifier: Apache-2.0
//
// A server in a thread of its own. Its handler answers by the path of the request, without any resources.
#pragma once

#include "control/api/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/fake_dataplane.h"
#include "tests/unit/control/skipping_clock.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {

using namespace std::chrono_literals;

// A source with `pieces` pieces of `bytes` bytes each, and no more events after them.
class Pieces : public EventSource {
 public:
  Pieces(std::atomic<int>& alive, size_t pieces, size_t bytes)
      : alive_(alive), pieces_(pieces), bytes_(bytes) {
    ++alive_;
  }
  ~Pieces() override { --alive_; }
  Task<std::string> take() override {
    if (pieces_ == 0) co_return std::string();
    --pieces_;
    co_return std::string(bytes_ - 1, 'p') + "\n";
  }
  void on_news(std::function<void()>) override {}

 private:
  std::atomic<int>& alive_;
  size_t pieces_, bytes_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { stop(); }

  void start(ServerLimits limits, bool read_only = false) {
    auto listener = Listener::on_path(path, {});
    ASSERT_TRUE(listener) << listener.error();
    run(std::move(*listener), {.read_only = read_only, .changes_at = "/run/control.sock", .limits = limits});
  }
  Socket start_on_loopback() {
    auto listener = Listener::on_loopback({*IpAddress::parse("127.0.0.1"), {}, kProtocolTcp});
    EXPECT_TRUE(listener) << listener.error();
    const Socket endpoint = listener->endpoint();
    run(std::move(*listener), {.read_only = true, .changes_at = "/run/control.sock", .limits = {}});
    return endpoint;
  }
  // Ends the server while its event loop goes on, as at the end of teald.
  void close_server() {
    asio::post(io, [this] { server.reset(); });
  }
  void stop() {
    if (!thread.joinable()) return;
    close_server();
    asio::post(io, [this] { io.stop(); });
    thread.join();
  }

  static Task<Response> handle(ServerTest* self, const Request& request) {
    ++self->handled;
    if (request.path == "/slow") co_await self->wait_for_release();
    if (request.path == "/big") co_return Response(std::string(4 << 20, 'b'));
    if (request.path == "/throw") throw std::runtime_error("thrown on purpose");
    if (request.path == "/pieces") co_return self->stream(3, 10);
    if (request.path == "/endless") co_return self->stream(1'000'000, 65536);
    co_return Response(request.method + " " + request.path + " " + request.body + " uid " +
                       (request.uid ? std::to_string(*request.uid) : "none") + "\n");
  }
  Task<void> wait_for_release() {
    boost::system::error_code cancelled;
    co_await slow.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }
  // Lets all requests for /slow finish, now and later.
  void release() {
    asio::post(io, [this] { slow.expires_at(asio::steady_timer::time_point::min()); });
  }
  Response stream(size_t pieces, size_t bytes) {
    Response response;
    response.content_type = "text/event-stream";
    response.events = std::make_shared<Pieces>(streams, pieces, bytes);
    return response;
  }

  std::string ask(const std::string& request) {
    RawClient client(path);
    (void)client.send(request);
    return client.read_all();
  }
  std::string get(const std::string& target) {
    return ask("GET " + target + " HTTP/1.1\r\nConnection: close\r\n\r\n");
  }

  TempDir dir;
  const std::string path = dir.file("x.sock");
  std::atomic<int> handled{0};
  std::atomic<int> streams{0};
  SkippingClock clock;
  asio::io_context io{1};
  asio::steady_timer slow{io, asio::steady_timer::time_point::max()};
  std::unique_ptr<Server> server;

 private:
  void run(Listener listener, Server::Options options) {
    server = Server::start(io, clock, std::move(listener), std::move(options),
                           [this](const Request& request) { return handle(this, request); });
    thread = std::thread([this] { io.run(); });
  }

  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::thread thread;
};

}  // namespace teal
