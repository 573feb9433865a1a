// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>
#include <tl/expected.hpp>

#include "control/cli/invocation/failure.h"

namespace teal::cli {

// Sends requests to teald: HTTP/1.1 with JSON, one connection for each request. An answer must come within
// `timeout`. If the user has no access to control.sock, get() and stream() use status.sock in the same
// folder.
class Client {
 public:
  Client(std::string socket, std::chrono::milliseconds timeout)
      : socket_(std::move(socket)), timeout_(timeout) {}

  const std::string& socket() const { return socket_; }
  std::chrono::milliseconds timeout() const { return timeout_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }
  // Lets a change take longer than the timeout, up to `longest`, as long as teald answers another question.
  // `waits` is called once when that begins.
  void be_patient(std::chrono::milliseconds longest, std::function<void()> waits) {
    patience_ = longest;
    waits_ = std::move(waits);
  }
  // Tells teald who logged in, for changes of a process of root.
  void set_login_uid(std::optional<uint32_t> uid) { login_uid_ = uid; }

  // Return the body of an answer with status 2xx. Any other answer, and no answer, is a Failure. After
  // kUnreachable, teald has not got the whole request of a post(); after kLostAnswer it may have.
  tl::expected<nlohmann::json, Failure> get(const std::string& target) const;
  tl::expected<nlohmann::json, Failure> post(const std::string& target, const nlohmann::json& body) const;
  // Posts a request that changes nothing.
  tl::expected<nlohmann::json, Failure> inquire(const std::string& target, const nlohmann::json& body) const;

  enum class StreamEnd { kTaken, kClosed, kSilent };
  // Calls `take` with the bytes of the answer as they arrive. Ends when `take` returns false (kTaken), when
  // the daemon closes the connection (kClosed), or when nothing has arrived for `silence` (kSilent). A
  // Failure means that no answer with status 200 came.
  tl::expected<StreamEnd, Failure> stream(const std::string& target, std::optional<uint64_t> last_event_id,
                                          std::chrono::milliseconds silence,
                                          const std::function<bool(std::string_view)>& take) const;

 private:
  enum class Kind { kQuestion, kDryRun, kChange };
  tl::expected<nlohmann::json, Failure> exchange(Kind kind, const std::string& target,
                                                 std::string body) const;
  bool answers() const;

  std::string socket_;
  std::chrono::milliseconds timeout_;
  std::optional<uint32_t> login_uid_;
  std::chrono::milliseconds patience_{0};
  std::function<void()> waits_ = [] {};
};

// Encodes a value for a query or a path (RFC 3986, section 2.1).
std::string percent_encoded(std::string_view text);

}  // namespace teal::cli
