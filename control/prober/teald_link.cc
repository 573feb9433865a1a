// SPDX-License-Identifier: Apache-2.0
#include "control/prober/teald_link.h"

#include <algorithm>
#include <vector>

#include <spdlog/spdlog.h>
#include <boost/asio/write.hpp>

namespace teal {

using boost::system::error_code;

TealdLink::TealdLink(asio::io_context& io, std::string path, const Clock& clock,
                     std::function<void(CheckList)> on_list, std::function<void(const CheckNow&)> on_order,
                     std::function<void(HookOrder)> on_hook)
    : path_(std::move(path)),
      clock_(clock),
      on_list_(std::move(on_list)),
      on_order_(std::move(on_order)),
      on_hook_(std::move(on_hook)),
      socket_(io),
      pause_(io),
      wake_(io, asio::steady_timer::time_point::max()) {}

Task<void> TealdLink::run() {
  std::chrono::milliseconds pause = kFirstPause;
  for (;;) {
    error_code error;
    const asio::local::stream_protocol::endpoint endpoint(path_);
    socket_ = asio::local::stream_protocol::socket(socket_.get_executor());
    co_await socket_.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      drop("cannot connect to " + path_ + ": " + error.message());
    } else {
      is_connected_ = true;
      has_list_ = false;
      co_await read();
      if (has_list_) pause = kFirstPause;
    }
    const Clock::Time until = clock_.now() + pause;
    co_await clock_.wait(pause_, until);
    pause = std::min(2 * pause, kLongestPause);
  }
}

Task<void> TealdLink::read() {
  std::vector<char> buffer(64 * 1024);
  LineReader lines(kMaxCheckListBytes);
  std::string why;
  while (why.empty()) {
    error_code error;
    const size_t bytes = co_await socket_.async_read_some(asio::buffer(buffer),
                                                          asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      why = "teald is gone: " + error.message();
    } else if (!lines.feed({buffer.data(), bytes}, [&](std::string_view line) { return take(line, why); }) &&
               why.empty()) {
      why = "teald sent a line of more than 32 MiB";
    }
  }
  drop(why);
}

bool TealdLink::take(std::string_view line, std::string& why) {
  auto message = parse_to_prober(line);
  if (!message) {
    why = "teald sent a line that is not a message: " + message.error();
    return false;
  }
  if (const auto* refused = std::get_if<ProberRefused>(&*message)) {
    why = "teald refused this process: " + refused->why;
    return false;
  }
  if (const auto* order = std::get_if<CheckNow>(&*message)) {
    on_order_(*order);
    return true;
  }
  if (auto* order = std::get_if<HookOrder>(&*message)) {
    on_hook_(std::move(*order));
    return true;
  }
  CheckList& list = std::get<CheckList>(*message);
  spdlog::info("teald wants {} checks (revision {})", list.checks.size(), list.revision);
  has_list_ = true;
  problem_.clear();
  on_list_(std::move(list));
  return true;
}

// A problem that lasts is logged once.
void TealdLink::drop(const std::string& why) {
  is_connected_ = false;
  unsent_.clear();
  error_code ignored;
  socket_.close(ignored);
  wake_.cancel();
  if (why != problem_) spdlog::warn("{}; the checks go on", why);
  problem_ = why;
}

void TealdLink::send(std::string_view line) {
  if (!is_connected_ || !has_list_) return;
  unsent_ += line;
  if (unsent_.size() > kMaxUnsent) {
    unsent_.clear();
    error_code ignored;
    socket_.close(ignored);  // read() says so
  }
  wake_.cancel();
}

Task<void> TealdLink::write() {
  for (;;) {
    error_code error;
    if (unsent_.empty()) {
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    const std::string lines = std::exchange(unsent_, "");
    co_await asio::async_write(socket_, asio::buffer(lines),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) socket_.close(error);  // read() says so
  }
}

}  // namespace teal
