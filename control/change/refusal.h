// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace teal {

// Says why a request was refused, as the API answers it. `code` is for programs and never changes; the other
// texts are for people.
//
// This is not an aggregate, because GCC 12 copies a temporary that is initialised as an aggregate byte by
// byte into a coroutine's frame.
struct Refusal {
  Refusal(unsigned http_status, std::string_view word, std::string text, std::string next_step = "",
          std::vector<std::string> lines = {})
      : status(http_status),
        code(word),
        message(std::move(text)),
        hint(std::move(next_step)),
        details(std::move(lines)) {}

  // How most messages begin.
  static constexpr std::string_view kNothingChanged = "nothing was changed: ";

  unsigned status;  // of HTTP
  std::string_view code;
  std::string message;
  std::string hint;                  // "" for none
  std::vector<std::string> details;  // one line each: the errors of a config file

  // The message without kNothingChanged, for a list of reasons.
  std::string_view reason() const {
    const std::string_view whole = message;
    return whole.starts_with(kNothingChanged) ? whole.substr(kNothingChanged.size()) : whole;
  }
  static Refusal bad_request(std::string message, std::string hint = "") {
    return {400, "bad_request", std::move(message), std::move(hint), {}};
  }
};

}  // namespace teal
