// SPDX-License-Identifier: Apache-2.0
#include "control/cli/client.h"

#include <utility>  // before Asio 1.74, which forgets it in C++20

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace teal::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;
using Deadline = std::chrono::steady_clock::time_point;

constexpr uint64_t kLargestAnswer = 256u << 20;  // 4,096 backends and as many flows as one asks for

Failure unreachable(const std::string& socket, const boost::system::error_code& error) {
  Failure failure{.exit_code = kUnreachable, .code = "unreachable"};
  std::string what = error.message();
  failure.hint = "systemctl status teald; another instance: --socket PATH or TEAL_SOCKET";
  if (error == boost::system::errc::no_such_file_or_directory) {
    what = "there is no such socket";
  } else if (error == boost::system::errc::connection_refused) {
    what = "nobody listens on it (left by a daemon that is gone)";
  } else if (error == boost::system::errc::permission_denied) {
    what = "permission denied";
    failure.hint = "run as root, or as a member of the group that owns the socket";
  }
  failure.message = fmt::format("cannot reach the daemon on {}: {}", socket, what);
  return failure;
}

Failure no_answer(const std::string& socket, bool is_post, const std::string& what) {
  Failure failure{.exit_code = kUnreachable, .code = "unreachable"};
  failure.message = fmt::format("the daemon on {} {}", socket, what);
  if (is_post) failure.message += "; whether the change was published is not known";
  failure.hint =
      is_post ? "teal status shows the generation and the active colours" : "systemctl status teald";
  return failure;
}

// Runs one asynchronous operation to its end or the deadline. `start` gets the handler's error to fill.
template <typename Start>
boost::system::error_code run_until(asio::io_context& io, Deadline deadline, Start start) {
  boost::system::error_code result = asio::error::timed_out;
  bool done = false;
  start([&](const boost::system::error_code& error, auto&&...) {
    result = error;
    done = true;
  });
  io.restart();
  while (!done && io.run_one_until(deadline) != 0) {
  }
  return done ? result : asio::error::timed_out;
}

}  // namespace

tl::expected<nlohmann::json, Failure> Client::get(const std::string& target) const {
  return exchange(false, target, {});
}

tl::expected<nlohmann::json, Failure> Client::post(const std::string& target,
                                                   const nlohmann::json& body) const {
  return exchange(true, target, body.dump());
}

tl::expected<nlohmann::json, Failure> Client::exchange(bool is_post, const std::string& target,
                                                       std::string body) const {
  constexpr size_t kLongestPath = 107;  // sockaddr_un without its final 0
  if (socket_.empty() || socket_.size() > kLongestPath) {
    return tl::unexpected(usage_failure(fmt::format(
        "\"{}\" cannot be a socket's path: 1 to {} characters were expected", socket_, kLongestPath)));
  }
  const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  // The operations' state comes before the io_context: what a timeout left pending is dropped with the
  // context, while they live.
  http::request<http::string_body> request(is_post ? http::verb::post : http::verb::get, target, 11);
  request.set(http::field::host, "teal");
  request.set(http::field::connection, "close");
  if (is_post) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLargestAnswer);

  asio::io_context io(1);
  Protocol::socket socket(io);
  auto error = run_until(io, deadline,
                         [&](auto handler) { socket.async_connect(Protocol::endpoint(socket_), handler); });
  if (error) return tl::unexpected(unreachable(socket_, error));
  error = run_until(io, deadline, [&](auto handler) { http::async_write(socket, request, handler); });
  if (!error)
    error = run_until(io, deadline, [&](auto handler) { http::async_read(socket, buffer, parser, handler); });
  if (error == asio::error::timed_out) {
    return tl::unexpected(no_answer(
        socket_, is_post, fmt::format("gave no answer within {} ms (--timeout)", timeout_.count())));
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error == boost::system::errc::connection_reset || error == boost::system::errc::broken_pipe) {
    return tl::unexpected(no_answer(socket_, is_post, "closed the connection before it had answered"));
  }
  if (error)
    return tl::unexpected(
        no_answer(socket_, is_post, fmt::format("gave no HTTP answer: {}", error.message())));

  const auto& response = parser.get();
  auto json = nlohmann::json::parse(response.body(), nullptr, false);
  if (json.is_discarded()) json = nullptr;
  if (http::to_status_class(response.result()) != http::status_class::successful || !json.is_object()) {
    return tl::unexpected(failure_of_reply(response.result_int(), json));
  }
  return json;
}

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

}  // namespace teal::cli
