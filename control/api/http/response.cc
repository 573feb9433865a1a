// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/response.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace teal {

namespace {

// The reason phrases (RFC 9110, 15) of the status codes that Teal uses.
std::string_view reason_of(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

}  // namespace

Response refused(const Refusal& refusal) {
  nlohmann::ordered_json error = {{"code", refusal.code}, {"message", refusal.message}};
  if (!refusal.hint.empty()) error["hint"] = refusal.hint;
  if (!refusal.details.empty()) error["details"] = refusal.details;
  // A refusal may quote bytes of the request that are not UTF-8, so invalid bytes are replaced.
  std::string body = nlohmann::ordered_json{{"error", std::move(error)}}.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  body.push_back('\n');
  return Response(refusal.status, std::move(body));
}

std::string as_last_answer(const Refusal& refusal) {
  const Response response = refused(refusal);
  return head_of(response, {.body_bytes = response.body.size(), .keep_alive = false}) + response.body;
}

std::string head_of(const Response& response, const HeadOptions& options) {
  std::string head = fmt::format("HTTP/1.{} {} {}\r\n", options.version == 10 ? 0 : 1, response.status,
                                 reason_of(response.status));
  if (response.status != 204) head += fmt::format("Content-Type: {}\r\n", response.content_type);
  head += "Cache-Control: no-store\r\n";
  if (!response.allow.empty()) head += fmt::format("Allow: {}\r\n", response.allow);
  if (response.status == 503) head += "Retry-After: 1\r\n";
  if (options.framing == Framing::kLength && response.status != 204)
    head += fmt::format("Content-Length: {}\r\n", options.body_bytes);
  if (options.framing == Framing::kChunked) head += "Transfer-Encoding: chunked\r\n";
  head += fmt::format("Connection: {}\r\n\r\n", options.keep_alive ? "keep-alive" : "close");
  return head;
}

}  // namespace teal
