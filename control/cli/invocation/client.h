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
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  // Returns the body of an answer with status 2xx. Any other answer, and no answer, is a Failure.
  tl::expected<nlohmann::json, Failure> get(const std::string& target) const;
  tl::expected<nlohmann::json, Failure> post(const std::string& target, const nlohmann::json& body) const;

  enum class StreamEnd { kTaken, kClosed, kSilent };
  // Calls `take` with the bytes of the answer as they arrive. Ends when `take` returns false (kTaken), when
  // the daemon closes the connection (kClosed), or when nothing has arrived for `silence` (kSilent). A
  // Failure means that no answer with status 200 came.
  tl::expected<StreamEnd, Failure> stream(const std::string& target, std::optional<uint64_t> last_event_id,
                                          std::chrono::milliseconds silence,
                                          const std::function<bool(std::string_view)>& take) const;

 private:
  tl::expected<nlohmann::json, Failure> exchange(bool is_post, const std::string& target,
                                                 std::string body) const;

  std::string socket_;
  std::chrono::milliseconds timeout_;
};

// Encodes a value for a query or a path (RFC 3986, section 2.1).
std::string percent_encoded(std::string_view text);

}  // namespace teal::cli
