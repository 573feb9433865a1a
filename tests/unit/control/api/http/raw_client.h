// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "dataplane/packet/ip_address.h"

namespace teal {

// A client that sends any bytes at any speed and examines the bytes that come back.
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
  // Returns false if the server has closed the connection.
  bool send(std::string_view bytes);
  bool get(const std::string& target, const std::string& more_headers = "");
  void done_sending();
  void close();

  // Reads until the received bytes contain `text`, the server closes, or time is up. Returns all received
  // bytes.
  const std::string& read_until(std::string_view text, Wait at_most = kLong);
  const std::string& read_all(Wait at_most = kLong) { return read_until({}, at_most); }
  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  // Reads and returns whether the server closes the connection within that time.
  bool is_closed(Wait at_most = kLong);
  // The same without a read. Only for unix sockets.
  bool is_hung_up(Wait at_most = kLong);

 private:
  bool read_some(Wait at_most);

  int fd_ = -1;
  bool ended_ = false;
  std::string received_;
};

}  // namespace teal
