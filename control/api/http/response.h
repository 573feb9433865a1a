// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/change/refusal.h"
#include "control/loop/coroutine.h"

namespace teal {

// The source of an endless answer (server-sent events). The server takes text only when the client has read
// the text before it, so no memory grows for a client that does not read.
class EventSource {
 public:
  virtual ~EventSource() = default;

  // Returns the next events as text of bounded size, or "" if there are none.
  virtual Task<std::string> take() = 0;
  // The source calls `wake` for each new event, as long as the source lives.
  virtual void on_news(std::function<void()> wake) = 0;
};

// Has constructors for a reason: GCC 12 copies an aggregate temporary byte by byte into a coroutine's frame.
struct Response {
  Response() = default;
  explicit Response(std::string text) : body(std::move(text)) {}
  Response(unsigned status_code, std::string text) : status(status_code), body(std::move(text)) {}

  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string allow;                    // value of the Allow header, for 405 and OPTIONS
  std::shared_ptr<EventSource> events;  // set: an event stream instead of a body
};

// The answer to a refused request: {"error":{"code","message","hint","details"}}, without empty hint and
// details.
Response refused(const Refusal& refusal);

// The whole answer as bytes, with "Connection: close": for a connection that the server closes.
std::string as_last_answer(const Refusal& refusal);

// How the client finds the end of the body: by its length, by the chunked encoding, or by the close.
enum class Framing { kLength, kChunked, kUntilClose };
struct HeadOptions {
  Framing framing = Framing::kLength;
  size_t body_bytes = 0;
  unsigned version = 11;  // 10 or 11
  bool keep_alive = true;
};
std::string head_of(const Response& response, const HeadOptions& options);

}  // namespace teal
