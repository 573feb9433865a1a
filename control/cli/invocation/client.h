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

// Speaks HTTP/1.1 and JSON with the daemon, one connection a request, and waits for the answer at most
// `timeout`. Who may not use control.sock still reads: from status.sock beside it.
class Client {
 public:
  Client(std::string socket, std::chrono::milliseconds timeout)
      : socket_(std::move(socket)), timeout_(timeout) {}

  const std::string& socket() const { return socket_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  // The body of a success (2xx); a Failure for any other answer, and for none.
  tl::expected<nlohmann::json, Failure> get(const std::string& target) const;
  tl::expected<nlohmann::json, Failure> post(const std::string& target, const nlohmann::json& body) const;

  enum class StreamEnd { kTaken, kClosed, kSilent };
  // Hands over the bytes of an answer as they come, until `take` says false, the daemon closes the
  // connection, or nothing has come for `silence`. A Failure: there was no such answer at all.
  tl::expected<StreamEnd, Failure> stream(const std::string& target, std::optional<uint64_t> last_event_id,
                                          std::chrono::milliseconds silence,
                                          const std::function<bool(std::string_view)>& take) const;

 private:
  tl::expected<nlohmann::json, Failure> exchange(bool is_post, const std::string& target,
                                                 std::string body) const;

  std::string socket_;
  std::chrono::milliseconds timeout_;
};

// For a value in a query or a path (RFC 3986, 2.1).
std::string percent_encoded(std::string_view text);

}  // namespace teal::cli
