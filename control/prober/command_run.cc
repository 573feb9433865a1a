// SPDX-License-Identifier: Apache-2.0
#include "control/prober/command_run.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/health/health_messages.h"
#include "control/prober/check_socket.h"

namespace teal {

namespace {

using boost::system::error_code;

constexpr size_t kMaxOutput = 64 * 1024;

// The output of a command. Keeps the last line that has a character other than a space.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  // Reads what is there. Returns false at the end of the output, or if it is too long.
  bool read() {
    std::array<char, 4096> buffer;
    while (!is_too_long()) {
      const ssize_t bytes = ::read(fd_, buffer.data(), buffer.size());
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0) return errno == EAGAIN;
      if (bytes == 0) return false;
      taken_ += static_cast<size_t>(bytes);
      for (const char c : std::string_view(buffer.data(), static_cast<size_t>(bytes))) take(c);
    }
    return false;
  }
  bool is_too_long() const { return taken_ > kMaxOutput; }
  std::string last_line() {
    end_line();
    return std::move(last_);
  }

 private:
  void take(char c) {
    if (c == '\n') {
      end_line();
    } else if (line_.size() < kMaxHealthReason) {
      line_ += c;
    }
  }
  void end_line() {
    if (std::string clean = clean_reason(line_); !clean.empty()) last_ = std::move(clean);
    line_.clear();
  }

  const int fd_;
  size_t taken_ = 0;
  std::string line_, last_;
};

}  // namespace

std::string words_of(const CommandEnd& end) {
  using How = CommandEnd::How;
  switch (end.how) {
    case How::kNotStarted:
    case How::kTimedOut:
    case How::kTooLong:
      return end.why;
    case How::kEnded:
      break;
  }
  if (WIFSIGNALED(end.status)) return fmt::format("the command was ended by signal {}", WTERMSIG(end.status));
  return fmt::format("the command ended with exit code {}", WEXITSTATUS(end.status));
}

Task<CommandEnd> run_command(const CommandLine& line, std::chrono::milliseconds timeout, Semaphore& places) {
  const Semaphore::Permit place = co_await places.acquire();
  co_return co_await run_command(line, timeout);
}

Task<CommandEnd> run_command(const CommandLine& line, std::chrono::milliseconds timeout) {
  using How = CommandEnd::How;
  auto started = Command::start(line);
  if (!started) co_return CommandEnd(How::kNotStarted, started.error());
  Command& command = **started;
  const auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor output(executor, command.take_output_fd());
  asio::posix::stream_descriptor process(executor, command.take_process_fd());
  asio::steady_timer ended(executor, asio::steady_timer::time_point::max());
  Output printed(output.native_handle());
  bool has_ended = false;
  // A child that holds the output does not delay the end: what the command printed is in the pipe.
  process.async_wait(asio::posix::stream_descriptor::wait_read, [&](const error_code& cancelled) {
    if (cancelled) return;
    has_ended = true;
    error_code ignored;
    output.cancel(ignored);
    ended.cancel();
  });
  const Deadline deadline(executor, timeout, [&] { command.kill(); });

  error_code error;
  while (!has_ended && !error && printed.read()) {
    co_await output.async_wait(asio::posix::stream_descriptor::wait_read,
                               asio::redirect_error(asio::use_awaitable, error));
  }
  if (printed.is_too_long()) command.kill();
  // A process that closed its output may run on, until the deadline.
  while (!has_ended) co_await ended.async_wait(asio::redirect_error(asio::use_awaitable, error));
  (void)printed.read();
  const int status = command.reap();

  if (printed.is_too_long()) co_return CommandEnd(How::kTooLong, "the command printed more than 64 KiB");
  const bool is_late = deadline.has_passed();
  std::string why;
  if (is_late) why = "the command did not end within " + span_words(timeout);
  CommandEnd end(is_late ? How::kTimedOut : How::kEnded, std::move(why));
  end.status = status;
  end.last_line = printed.last_line();
  co_return end;
}

}  // namespace teal
