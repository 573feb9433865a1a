// SPDX-License-Identifier: Apache-2.0
#include "control/cli/failure.h"

#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace teal::cli {
namespace {

// The API's codes that have an exit code of their own; all others end with kError.
constexpr std::array<std::pair<std::string_view, ExitCode>, 3> kExitCodes = {{
    {"conflict", kConflict},
    {"refused", kRefused},
    {"adoption_timeout", kAdoptionTimeout},
}};

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
                fmt::format("the daemon answered with HTTP status {} and no error in the API's form", status),
            .hint = "teal version (do the versions of teal and teald agree?)"};
  }
  Failure failure{.code = text_at(*error, "code"),
                  .message = text_at(*error, "message"),
                  .hint = text_at(*error, "hint")};
  if (failure.message.empty()) failure.message = fmt::format("{} (HTTP status {})", failure.code, status);
  for (const auto& [code, exit_code] : kExitCodes) {
    if (failure.code == code) failure.exit_code = exit_code;
  }
  // Whoever gets this code must know that the change stands, whatever the daemon's sentence says.
  if (failure.exit_code == kAdoptionTimeout) {
    failure.message += " (published, not undone)";
    if (failure.hint.empty())
      failure.hint = "teal status shows which generation is adopted; teal rollback undoes the change";
  }
  return failure;
}

nlohmann::json to_json(const Failure& failure) {
  nlohmann::json error = {{"code", failure.code}, {"message", failure.message}};
  if (!failure.hint.empty()) error["hint"] = failure.hint;
  if (!failure.details.empty()) error["details"] = failure.details;
  return {{"error", std::move(error)}};
}

void print_failure(const Failure& failure, std::ostream& stream) {
  for (const auto& line : failure.details) stream << line << '\n';
  stream << "teal: " << failure.message << '\n';
  if (!failure.hint.empty()) stream << "hint: " << failure.hint << '\n';
}

}  // namespace teal::cli
