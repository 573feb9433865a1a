// SPDX-License-Identifier: Apache-2.0
#include "control/prober/check_socket.h"

namespace teal {

Task<CheckResult> check_tcp(const CheckOrder& order) {
  AbortedSocket connection(co_await asio::this_coro::executor);
  const asio::ip::tcp::endpoint endpoint(address_of(order.address.address), checked_port(order));
  boost::system::error_code error = connection.open(endpoint);
  if (error) co_return CheckResult::not_made(error.message());
  const Deadline deadline(connection.socket.get_executor(), order.check.timeout,
                          [&connection] { connection.close(); });
  co_await connection.socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  co_return result_of(error, deadline.has_passed(), order.check.timeout);
}

}  // namespace teal
