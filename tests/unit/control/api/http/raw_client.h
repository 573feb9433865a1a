// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "dataplane/packet/ip_address.h"

namespace teal {

// A client that sends what it likes, as slowly as it likes, and looks at the bytes that come back.
class RawClient {
 public:
  using Wait = std::chrono::milliseconds;
  static constexpr Wait kLong = std::chrono::seconds(5);

  explicit RawClient(const std::string& path);
  explicit RawClient(const Socket& loopback);
  ~RawClient() { close(); }
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  bool is_connected() const { return fd_ >= 0; }
  // False: the other end does not take it.
  bool send(std::string_view bytes);
  bool get(const std::string& split, const std::string& more_headers = "");
  void done_sending();
  void close();

  // What has come so far, until it holds `text`, the other end closes, or time is up.
  const std::string& read_until(std::string_view text, Wait at_most = kLong);
  const std::string& read_all(Wait at_most = kLong) { return read_until({}, at_most); }
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  // Has the other end closed, or does it within that time?
  bool is_closed(Wait at_most = kLong);

 private:
  bool read_some(Wait at_most);

  int fd_ = -1;
  bool ended_ = false;
  std::string received_;
};

}  // namespace teal
