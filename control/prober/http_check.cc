// SPDX-License-Identifier: Apache-2.0
//
// Beast parses the answer. The check reads no further than it needs: a server that sends slowly, for ever, or
// a gigabyte, costs a few KiB of memory and the timeout.
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "control/prober/check_socket.h"
#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr uint32_t kHeaderLimit = 8 * 1024;
constexpr size_t kBodyLimit = 64 * 1024;
constexpr size_t kChunk = 4 * 1024;
using Parser = http::response_parser<http::buffer_body>;

std::string request_of(const CheckOrder& order) {
  Socket server = order.address;
  server.port = Be16::from_host(checked_port(order));
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: teal-health/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
      order.check.path, order.check.host.empty() ? to_string(server) : order.check.host, TEAL_VERSION);
}

std::string expected_status(const HealthCheck& check) {
  return check.least_status == check.most_status
             ? fmt::format("{}", check.least_status)
             : fmt::format("{} to {}", check.least_status, check.most_status);
}

CheckResult unreadable(const error_code& error, const Parser& parser, bool has_timed_out,
                       const HealthCheck& check) {
  if (has_timed_out && parser.is_header_done())
    return CheckResult::failed("the answer was not whole within " + span_words(check.timeout));
  if (has_timed_out) return result_of(error, true, check.timeout);
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return CheckResult::failed("the header is larger than 8 KiB");
  if (error == http::error::end_of_stream)
    return CheckResult::failed("the server closed the connection without an answer");
  if (error == http::error::partial_message)
    return CheckResult::failed("the server closed the connection within its answer");
  if (error.category() == make_error_code(http::error::end_of_stream).category())
    return CheckResult::failed("the answer is not HTTP");
  return result_of(error, false, check.timeout);
}

// Looks for a text in pieces of a body.
class Finder {
 public:
  explicit Finder(std::string_view wanted) : wanted_(wanted) {}
  bool is_found_with(std::string_view piece) {
    window_ += piece;
    if (window_.find(wanted_) != std::string::npos) return true;
    window_.erase(0, window_.size() - std::min(window_.size(), wanted_.size() - 1));
    return false;
  }

 private:
  const std::string_view wanted_;
  std::string window_;  // the end of what came before, shorter than the text
};

Task<CheckResult> read_body(asio::ip::tcp::socket& socket, beast::flat_buffer& buffer, Parser& parser,
                            const HealthCheck& check, const Deadline& deadline) {
  std::array<char, kChunk> chunk;
  Finder finder(check.match);
  size_t taken = 0;
  while (!parser.is_done() && taken < kBodyLimit) {
    const size_t asked = std::min(chunk.size(), kBodyLimit - taken);
    http::buffer_body::value_type& body = parser.get().body();
    body.data = chunk.data();
    body.size = asked;
    error_code error;
    co_await http::async_read_some(socket, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    const size_t got = asked - body.size;
    taken += got;
    if (finder.is_found_with({chunk.data(), got})) co_return CheckResult();
    if (deadline.has_passed() || (error && error != http::error::need_buffer))
      co_return unreadable(error, parser, deadline.has_passed(), check);
  }
  co_return CheckResult::failed(
      fmt::format("{} {}", parser.is_done() ? "the body lacks" : "the first 64 KiB of the body lack",
                  in_quotes(check.match)));
}

}  // namespace

Task<CheckResult> check_http(const CheckOrder& order) {
  const HealthCheck& check = order.check;
  AbortedSocket connection(co_await asio::this_coro::executor);
  const asio::ip::tcp::endpoint endpoint(address_of(order.address.address), checked_port(order));
  error_code error = connection.open(endpoint);
  if (error) co_return CheckResult::not_made(error.message());
  const Deadline deadline(connection.socket.get_executor(), check.timeout,
                          [&connection] { connection.close(); });
  const std::string request = request_of(order);
  co_await connection.socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (!error) {
    co_await asio::async_write(connection.socket, asio::buffer(request),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  if (error || deadline.has_passed()) co_return result_of(error, deadline.has_passed(), check.timeout);

  Parser parser;
  parser.header_limit(kHeaderLimit);
  parser.body_limit(UINT64_MAX);  // read_body() reads no further than it wants
  beast::flat_buffer buffer(kHeaderLimit + kChunk);
  co_await http::async_read_header(connection.socket, buffer, parser,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (error || deadline.has_passed()) co_return unreadable(error, parser, deadline.has_passed(), check);
  const unsigned status = parser.get().result_int();
  if (status < check.least_status || status > check.most_status)
    co_return CheckResult::failed(fmt::format("HTTP {}, expected {}", status, expected_status(check)));
  if (check.match.empty()) co_return CheckResult();
  CheckResult result = co_await read_body(connection.socket, buffer, parser, check, deadline);
  co_return result;
}

}  // namespace teal
