// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace teal {

// Why a request was not done, as the API answers it. `code` is for programs and stays as it is; the rest is
// for people.
struct Refusal {
  unsigned status;  // of HTTP
  std::string_view code;
  std::string message;
  std::string hint;  // "" for none

  static Refusal bad_request(std::string message, std::string hint = "") {
    return {400, "bad_request", std::move(message), std::move(hint)};
  }
};

}  // namespace teal
