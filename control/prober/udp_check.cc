// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string_view>

#include "control/prober/check_socket.h"
#include "dataplane/config/config_reader.h"

namespace teal {

namespace {
constexpr size_t kMaxAnswer = 4096;
}

// Each check has a socket of its own, so an answer that is late for the check before it goes nowhere.
Task<CheckResult> check_udp(const CheckOrder& order) {
  asio::ip::udp::socket socket(co_await asio::this_coro::executor);
  const asio::ip::udp::endpoint endpoint(address_of(order.address.address), checked_port(order));
  boost::system::error_code error;
  socket.open(endpoint.protocol(), error);
  if (error) co_return CheckResult::not_made(error.message());
  const Deadline deadline(socket.get_executor(), order.check.timeout, [&socket] {
    boost::system::error_code ignored;
    socket.close(ignored);
  });
  socket.connect(endpoint, error);
  if (!error) {
    co_await socket.async_send(asio::buffer(order.check.send),
                               asio::redirect_error(asio::use_awaitable, error));
  }
  std::array<char, kMaxAnswer> answer;
  size_t bytes = 0;
  if (!error) {
    bytes =
        co_await socket.async_receive(asio::buffer(answer), asio::redirect_error(asio::use_awaitable, error));
  }
  // The host answered with ICMP.
  if (error == asio::error::connection_refused) co_return CheckResult::failed("port unreachable");
  if (error || deadline.has_passed()) co_return result_of(error, deadline.has_passed(), order.check.timeout);
  if (std::string_view(answer.data(), bytes).find(order.check.expect) == std::string_view::npos)
    co_return CheckResult::failed("the answer lacks " + in_quotes(order.check.expect));
  co_return CheckResult();
}

}  // namespace teal
