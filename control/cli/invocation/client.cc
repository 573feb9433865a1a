// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/client.h"

#include <functional>
#include <utility>  // Asio 1.74 needs it in C++20 and does not include it

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <array>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/invocation/unreachable.h"

namespace teal::cli {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Protocol = asio::local::stream_protocol;
using Deadline = std::chrono::steady_clock::time_point;
using boost::system::error_code;

constexpr uint64_t kLargestAnswer = 256u << 20;  // a million flows
constexpr size_t kLongestPath = 107;             // sockaddr_un::sun_path without the final 0

// A request is a question or a change. A change that was not sent completely is not made.
enum class Sent { kQuestion, kPartOfChange, kChange };

Failure no_answer(const std::string& socket, Sent sent, const std::string& what) {
  Failure failure{.exit_code = kUnreachable,
                  .code = "unreachable",
                  .message = fmt::format("teald on {} {}", socket, what),
                  .hint = "check teald: systemctl status teald"};
  if (sent == Sent::kPartOfChange) failure.message += "; nothing was changed";
  if (sent != Sent::kChange) return failure;
  failure.exit_code = kLostAnswer;
  failure.code = "answer_lost";
  failure.message += "; it is not known whether the change was made";
  failure.hint = "teal history says whether the change was made";
  return failure;
}

Failure no_answer(const std::string& socket, Sent sent, const error_code& error,
                  std::chrono::milliseconds timeout) {
  if (error == asio::error::timed_out)
    return no_answer(socket, sent,
                     fmt::format("did not answer within {} (--timeout)",
                                 span_text(std::chrono::duration<double>(timeout).count())));
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error == boost::system::errc::connection_reset || error == boost::system::errc::broken_pipe) {
    return no_answer(socket, sent, "closed the connection before the end of its answer");
  }
  return no_answer(socket, sent, fmt::format("did not answer in HTTP: {}", error.message()));
}

// Returns another deadline; nothing: the time is over.
using Prolong = std::function<std::optional<Deadline>()>;

// Runs one asynchronous operation until it ends or the deadline passes. `start` begins it with the given
// handler.
template <typename Start>
error_code run_until(asio::io_context& io, Deadline deadline, Start start, const Prolong& prolong = {}) {
  error_code result = asio::error::timed_out;
  bool done = false;
  start([&](const error_code& error, auto&&...) {
    result = error;
    done = true;
  });
  io.restart();
  std::optional<Deadline> until = deadline;
  while (!done && until) {
    if (io.run_one_until(*until) == 0) until = prolong ? prolong() : std::nullopt;
  }
  return done ? result : asio::error::timed_out;
}

http::request<http::string_body> make_request(http::verb verb, const std::string& target) {
  http::request<http::string_body> request(verb, target, 11);
  request.set(http::field::host, "teal");
  request.set(http::field::connection, "close");
  return request;
}

std::optional<Failure> connect(asio::io_context& io, Protocol::socket& socket, Deadline deadline,
                               const std::string& path, bool reads_only) {
  if (path.empty() || path.size() > kLongestPath) {
    return usage_failure(
        fmt::format("\"{}\" is not a path of a socket; expected 1 to {} characters", path, kLongestPath));
  }
  const auto to = [&](const std::string& endpoint) {
    return run_until(io, deadline,
                     [&](auto handler) { socket.async_connect(Protocol::endpoint(endpoint), handler); });
  };
  const error_code error = to(path);
  if (!error) return std::nullopt;
  const std::string sibling = readable_sibling(path);
  if (reads_only && error == boost::system::errc::permission_denied && !sibling.empty() &&
      sibling.size() <= kLongestPath) {
    error_code ignored;
    socket.close(ignored);
    if (!to(sibling)) return std::nullopt;
  }
  return unreachable(path, error);
}

}  // namespace

tl::expected<nlohmann::json, Failure> Client::get(const std::string& target) const {
  return exchange(Kind::kQuestion, target, {});
}

tl::expected<nlohmann::json, Failure> Client::post(const std::string& target,
                                                   const nlohmann::json& body) const {
  const Kind kind = body.value("dry_run", false) ? Kind::kDryRun : Kind::kChange;
  return exchange(kind, target, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

// Returns whether teald answers a question.
bool Client::answers() const {
  return Client(socket_, timeout_).get("/v1/version").has_value();
}

tl::expected<nlohmann::json, Failure> Client::inquire(const std::string& target,
                                                      const nlohmann::json& body) const {
  return exchange(Kind::kDryRun, target, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

tl::expected<nlohmann::json, Failure> Client::exchange(Kind kind, const std::string& target,
                                                       std::string body) const {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  const bool is_post = kind != Kind::kQuestion;
  // After a timeout the io_context still holds the operation, which refers to these objects. They are
  // declared first, so they outlive it.
  auto request = make_request(is_post ? http::verb::post : http::verb::get, target);
  if (is_post) request.set(http::field::content_type, "application/json");
  if (is_post && login_uid_) request.set("Teal-Login-Uid", std::to_string(*login_uid_));
  request.body() = std::move(body);
  request.prepare_payload();
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kLargestAnswer);

  asio::io_context io(1);
  Protocol::socket socket(io);
  if (auto failure = connect(io, socket, deadline, socket_, !is_post)) {
    if (is_post && failure->exit_code == kUnreachable) failure->message += "; nothing was sent";
    return tl::unexpected(std::move(*failure));
  }
  // A daemon with too many clients answers before it reads the request, and writing fails. Its answer is read
  // all the same.
  const auto unsent =
      run_until(io, deadline, [&](auto handler) { http::async_write(socket, request, handler); });
  bool has_told = false;
  const Prolong prolong = [&]() -> std::optional<Deadline> {
    const bool may_wait = kind == Kind::kChange && std::chrono::steady_clock::now() < deadline + patience_;
    if (!may_wait || !answers()) return std::nullopt;
    if (!std::exchange(has_told, true)) waits_();
    return std::chrono::steady_clock::now() + timeout_;
  };
  auto error = unsent == asio::error::timed_out
                   ? unsent
                   : run_until(
                         io, deadline,
                         [&](auto handler) { http::async_read(socket, buffer, parser, handler); }, prolong);
  if (error) {
    const Sent sent = kind != Kind::kChange ? Sent::kQuestion : unsent ? Sent::kPartOfChange : Sent::kChange;
    return tl::unexpected(no_answer(socket_, sent, unsent ? unsent : error, timeout_));
  }

  const auto& response = parser.get();
  auto json = nlohmann::json::parse(response.body(), nullptr, false);
  if (json.is_discarded()) json = nullptr;
  if (http::to_status_class(response.result()) != http::status_class::successful || !json.is_object()) {
    return tl::unexpected(failure_of_reply(response.result_int(), json));
  }
  return json;
}

tl::expected<Client::StreamEnd, Failure> Client::stream(
    const std::string& target, std::optional<uint64_t> last_event_id, std::chrono::milliseconds silence,
    const std::function<bool(std::string_view)>& take) const {
  const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  auto request = make_request(http::verb::get, target);
  request.set(http::field::accept, "text/event-stream");
  if (last_event_id) request.set("Last-Event-ID", std::to_string(*last_event_id));
  boost::beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  // A stream has no end. (Boost 1.74 refuses every body if the limit is boost::none.)
  parser.body_limit(std::numeric_limits<uint64_t>::max());
  std::array<char, 16384> chunk;

  asio::io_context io(1);
  Protocol::socket socket(io);
  if (auto failure = connect(io, socket, deadline, socket_, true)) return tl::unexpected(std::move(*failure));
  auto error = run_until(io, deadline, [&](auto handler) { http::async_write(socket, request, handler); });
  if (!error) {
    error = run_until(io, deadline,
                      [&](auto handler) { http::async_read_header(socket, buffer, parser, handler); });
  }
  if (error) return tl::unexpected(no_answer(socket_, Sent::kQuestion, error, timeout_));

  const bool good = parser.get().result() == http::status::ok;
  std::string refusal;
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = chunk.data();
    body.size = chunk.size();
    const Deadline patience = good ? std::chrono::steady_clock::now() + silence : deadline;
    error = run_until(io, patience,
                      [&](auto handler) { http::async_read_some(socket, buffer, parser, handler); });
    if (error == asio::error::timed_out) return StreamEnd::kSilent;
    const std::string_view bytes(chunk.data(), chunk.size() - body.size);
    if (!good) {
      refusal += bytes;
    } else if (!bytes.empty() && !take(bytes)) {
      return StreamEnd::kTaken;
    }
    if (error && error != http::error::need_buffer) break;
  }
  if (good) return StreamEnd::kClosed;
  auto json = nlohmann::json::parse(refusal, nullptr, false);
  if (json.is_discarded()) json = nullptr;
  return tl::unexpected(failure_of_reply(parser.get().result_int(), json));
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
