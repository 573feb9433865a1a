// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/api_client.h"

#include <utility>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <fstream>

#include "tests/unit/control/fake_dataplane.h"

namespace teal {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using UnixStream = asio::local::stream_protocol;

ApiReply exchange(UnixStream::socket& socket, const std::string& method, const std::string& target,
                  const std::string& body) {
  http::request<http::string_body> request(http::string_to_verb(method), target, 11);
  if (request.method() == http::verb::unknown) request.method_string(method);
  request.set(http::field::host, "teal");
  if (method == "POST") request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  boost::system::error_code error;
  http::write(socket, request, error);
  boost::beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(socket, buffer, response, error);
  if (error) return {};
  return {response.result_int(), std::string(response[http::field::allow]),
          nlohmann::json::parse(response.body(), nullptr, false)};
}

}  // namespace

ApiReply call(const std::string& socket, const std::string& method, const std::string& target,
              const std::string& body) {
  asio::io_context io;
  UnixStream::socket stream(io);
  boost::system::error_code error;
  stream.connect(UnixStream::endpoint(socket), error);
  if (error) return {};
  return exchange(stream, method, target, body);
}

int call_repeatedly(const std::string& socket, const std::string& target, int count) {
  asio::io_context io;
  UnixStream::socket stream(io);
  stream.connect(UnixStream::endpoint(socket));
  int answered = 0;
  for (int i = 0; i < count; ++i) answered += exchange(stream, "GET", target, "").status == 200;
  return answered;
}

std::string send_raw(const std::string& socket, const std::string& bytes) {
  asio::io_context io;
  UnixStream::socket stream(io);
  stream.connect(UnixStream::endpoint(socket));
  boost::system::error_code error;
  asio::write(stream, asio::buffer(bytes), error);
  stream.shutdown(UnixStream::socket::shutdown_send, error);
  std::string reply;
  asio::read(stream, asio::dynamic_buffer(reply), error);
  return reply;
}

void DaemonHome::write_config(const std::string& toml) const {
  std::ofstream(dir_.file("teal.toml")) << toml;
}

DaemonOptions DaemonHome::options() const {
  DaemonOptions options;
  options.config_path = dir_.file("teal.toml");
  options.run_dir = run_dir();
  options.state_dir = dir_.file("state");
  options.clock = clock_;
  options.name_of_user = name_of_user_;
  return options;
}

bool DaemonHome::comes_true(const std::function<bool()>& condition) const {
  return FakeDataplane::wait_for([&] {
    clock_->skip(std::chrono::seconds(1));
    return condition();
  });
}

RunningDaemon::RunningDaemon(const DaemonHome& home) : clock_(home.clock()) {
  auto daemon = Daemon::start(home.options());
  if (!daemon) {
    for (const std::string& message : daemon.error().messages) ADD_FAILURE() << message;
    return;
  }
  daemon_ = std::move(*daemon);
  thread_ = std::thread([this] {
    code_ = daemon_->run();
    ended_ = true;
  });
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return home.get("/v1/version").status == 200; }));
}

ExitCode RunningDaemon::stop() {
  if (!thread_.joinable()) return code_;
  daemon_->stop();
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    clock_.skip(std::chrono::milliseconds(20));  // it waits for clients to read their answers
    return ended_.load();
  }));
  thread_.join();
  daemon_.reset();
  return code_;
}

}  // namespace teal
