// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/event_stream.h"

#include <fmt/format.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace teal {

namespace {
constexpr std::string_view kStillHere = ": still here\n\n";
}

EventStream::EventStream(Connection& connection, std::shared_ptr<EventSource> source, bool chunked)
    : connection_(connection), source_(std::move(source)), chunked_(chunked), news_(connection.executor()) {}

EventStream::~EventStream() {
  watch_->stream = nullptr;
}

Task<void> EventStream::run() {
  watch_client();
  source_->on_news([this] { wake(); });
  const Clock& clock = connection_.core().clock;
  auto idle_since = clock.now();
  while (!watch_->client_is_gone) {
    has_news_ = false;
    std::string text = co_await source_->take();
    if (text.empty() && connection_.core().slots.closed()) break;
    const auto comment_at = idle_since + connection_.core().limits.keep_alive;
    if (text.empty() && clock.now() >= comment_at) text = kStillHere;
    if (text.empty()) {
      co_await wait_for_news(comment_at);
      continue;
    }
    const bool sent = co_await send(text);
    if (!sent) co_return;
    idle_since = clock.now();
  }
  if (chunked_ && !watch_->client_is_gone) (void)co_await connection_.write("0\r\n\r\n");
}

void EventStream::wake() {
  has_news_ = true;
  news_.cancel();
}

Task<bool> EventStream::send(std::string& text) {
  std::string size;
  if (chunked_) {
    size = fmt::format("{:x}\r\n", text.size());
    text += "\r\n";
  }
  const bool written = co_await connection_.write(size, text);
  co_return written;
}

Task<void> EventStream::wait_for_news(Clock::Time until) {
  if (!has_news_) co_await connection_.core().clock.wait(news_, until);
}

// Ends the stream as soon as the client closes. Without this, only the next write would notice.
void EventStream::watch_client() {
  const auto wait = [](std::shared_ptr<Connection> connection, std::shared_ptr<Watch> watch) -> Task<void> {
    co_await connection->wait_for_client_end();
    watch->client_is_gone = true;
    if (watch->stream != nullptr) watch->stream->wake();
  };
  watch_->stream = this;
  asio::co_spawn(news_.get_executor(), wait(connection_.shared_from_this(), watch_), asio::detached);
}

}  // namespace teal
