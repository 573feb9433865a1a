// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace teal {

// Why a request was not done, as the API answers it. `code` is for programs and stays as it is; the rest is
// for people.
// No aggregate: GCC 12 copies temporaries that are initialised as one byte by byte into a coroutine's frame.
struct Refusal {
  Refusal(unsigned http_status, std::string_view word, std::string text, std::string next_step = "",
          std::vector<std::string> lines = {})
      : status(http_status),
        code(word),
        message(std::move(text)),
        hint(std::move(next_step)),
        details(std::move(lines)) {}

  unsigned status;  // of HTTP
  std::string_view code;
  std::string message;
  std::string hint;                  // "" for none
  std::vector<std::string> details;  // one line each: the errors of a config file

  static Refusal bad_request(std::string message, std::string hint = "") {
    return {400, "bad_request", std::move(message), std::move(hint), {}};
  }
};

}  // namespace teal
