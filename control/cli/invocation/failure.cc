// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/failure.h"

#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"

namespace teal::cli {
namespace {

struct Code {
  std::string_view code;
  ExitCode exit_code;
  std::string_view hint;  // if the daemon gives none
};

// The API's codes that have their own exit code or hint. Other codes end with kError.
constexpr std::array kCodes = {
    Code{"conflict", kConflict,
         "another change came first: see teal history and teal status before you repeat this one"},
    Code{"refused", kRefused, "nothing was changed; see teal status"},
    Code{"locked", kRefused, "teal status shows the lock; teal unlock removes it"},
    Code{"segment_refused", kRefused, "teal status shows why teald cannot use the dataplane's segment"},
    Code{"adoption_timeout", kTimeout, "teal status shows which generation is adopted"},
    Code{"read_only", kError, "send changes to control.sock: omit --socket, or name control.sock"},
    Code{"bad_config", kError, "nothing was changed; teal check FILE shows these errors before a reload"},
    Code{"unknown_service", kError, "teal list shows the services"},
    Code{"unknown_group", kError, "teal list shows the groups"},
    Code{"unknown_backend", kError, "teal backend list shows the backends"},
    Code{"unknown_generation", kError, "teal history shows the generations"},
    Code{"too_many_connections", kError, "try again in a few seconds"},
    Code{"not_ready", kError, "teald is starting; try again in a few seconds"},
    Code{"storage", kError,
         "check the free space of the state directory; journalctl -u teald shows the error"},
};

std::string text_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Failure usage_failure(std::string message, std::string hint) {
  return {.exit_code = kUsage, .code = "usage", .message = std::move(message), .hint = std::move(hint)};
}

Failure failure_of_reply(unsigned status, const nlohmann::json& body) {
  const auto error = body.is_object() ? body.find("error") : body.end();
  if (!body.is_object() || error == body.end() || !error->is_object()) {
    return {.code = "bad_answer",
            .message =
                fmt::format("teald answered with HTTP status {} and a body that is not from the API", status),
            .hint = "compare the versions of teal and teald: teal version"};
  }
  Failure failure{.code = text_at(*error, "code"),
                  .message = text_at(*error, "message"),
                  .hint = text_at(*error, "hint")};
  if (const auto details = error->find("details"); details != error->end() && details->is_array()) {
    for (const auto& line : *details) {
      if (line.is_string()) failure.details.push_back(line.get<std::string>());
    }
  }
  if (failure.message.empty()) failure.message = fmt::format("{} (HTTP status {})", failure.code, status);
  for (const auto& [code, exit_code, hint] : kCodes) {
    if (failure.code != code) continue;
    failure.exit_code = exit_code;
    if (failure.hint.empty()) failure.hint = hint;
  }
  return failure;
}

bool may_pass(const Failure& failure) {
  return failure.exit_code == kUnreachable || failure.code == "not_ready" ||
         failure.code == "too_many_connections";
}

nlohmann::json to_json(const Failure& failure) {
  nlohmann::json error = {{"code", failure.code}, {"message", failure.message}};
  if (!failure.hint.empty()) error["hint"] = failure.hint;
  if (!failure.details.empty()) error["details"] = failure.details;
  nlohmann::json document = {{"error", std::move(error)}};
  if (failure.done) document["done"] = *failure.done;
  return document;
}

void print_failure(const Failure& failure, std::ostream& stream) {
  for (const auto& line : failure.details) stream << with_times(clean(line)) << '\n';
  stream << (failure.message.starts_with("teal ") ? "" : "teal: ") << with_times(clean(failure.message))
         << '\n';
  if (!failure.hint.empty()) stream << "hint: " << with_times(clean(failure.hint)) << '\n';
}

}  // namespace teal::cli
