// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/change/refusal.h"
#include "control/loop/coroutine.h"

namespace teal {

// An answer without an end (server-sent events). It is asked for text when it said that there is some and the
// client took what it got before, so nothing piles up for a client that does not read.
class EventSource {
 public:
  virtual ~EventSource() = default;

  // What there is by now, a bounded amount; "" if there is nothing.
  virtual Task<std::string> take() = 0;
  // `wake` is to be called when there is something new, as long as this object lives.
  virtual void on_news(std::function<void()> wake) = 0;
};

// No aggregate: GCC 12 copies temporaries that are initialised as one byte by byte into a coroutine's frame.
struct Response {
  Response() = default;
  explicit Response(std::string text) : body(std::move(text)) {}
  Response(unsigned status_code, std::string text) : status(status_code), body(std::move(text)) {}

  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::string allow;                    // the methods there are, where the answer is about them
  std::shared_ptr<EventSource> events;  // in place of a body
};

// {"error":{"code","message","hint","details"}}; hint and details where there are any.
Response refused(const Refusal& refusal);

// The whole answer as bytes, "Connection: close" in it: for whoever is sent away.
std::string as_last_answer(const Refusal& refusal);

// The head of an answer with a body of `body_bytes`, or, without a number, with one that goes on and on.
enum class Framing { kLength, kChunked, kUntilClose };
struct HeadOptions {
  Framing framing = Framing::kLength;
  size_t body_bytes = 0;
  unsigned version = 11;  // 10 or 11
  bool keep_alive = true;
};
std::string head_of(const Response& response, const HeadOptions& options);

}  // namespace teal
