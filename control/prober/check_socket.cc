// SPDX-License-Identifier: Apache-2.0
#include "control/prober/check_socket.h"

#include <cerrno>

#include <fmt/format.h>

namespace teal {

namespace {

// Errors of this host. They say nothing about the backend.
bool is_of_this_host(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
         error == EADDRNOTAVAIL || error == EAGAIN || error == EPERM || error == EACCES;
}

std::string words_of(const boost::system::error_code& error) {
  switch (error.value()) {
    case ECONNREFUSED:
      return "connection refused";
    case ECONNRESET:
    case EPIPE:
      return "connection reset";
    case EHOSTUNREACH:
      return "no route to the host, or its neighbour does not answer";
    case ENETUNREACH:
      return "no route to the network";
    case ETIMEDOUT:
      return "no answer";
    default:
      return error.message();
  }
}

}  // namespace

boost::system::error_code AbortedSocket::open(const asio::ip::tcp::endpoint& endpoint) {
  boost::system::error_code error;
  socket.open(endpoint.protocol(), error);
  if (!error) socket.set_option(asio::socket_base::linger(true, 0), error);
  return error;
}

asio::ip::address address_of(const IpAddress& address) {
  if (address.is_v4()) {
    asio::ip::address_v4::bytes_type bytes;
    std::copy_n(address.v4_bytes(), bytes.size(), bytes.begin());
    return asio::ip::address_v4(bytes);
  }
  asio::ip::address_v6::bytes_type bytes;
  std::copy_n(address.bytes, bytes.size(), bytes.begin());
  return asio::ip::address_v6(bytes);
}

uint16_t checked_port(const CheckOrder& order) {
  return order.check.port.value_or(order.address.port.host());
}

CheckResult result_of(const boost::system::error_code& error, bool has_timed_out,
                      std::chrono::milliseconds timeout) {
  if (has_timed_out) return CheckResult::failed("no answer within " + span_words(timeout));
  if (!error) return {};
  if (error.category() == boost::system::system_category() && is_of_this_host(error.value()))
    return CheckResult::not_made(error.message());
  return CheckResult::failed(words_of(error));
}

std::string span_words(std::chrono::milliseconds span) {
  return span.count() % 1000 == 0 ? fmt::format("{} s", span.count() / 1000)
                                  : fmt::format("{} ms", span.count());
}

}  // namespace teal
