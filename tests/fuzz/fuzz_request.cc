// SPDX-License-Identifier: Apache-2.0
//
// Reads any bytes as a request to teald. Beast parses them, then the resources read target, query and body. A
// refusal must have an error status, a code and a message. Accepted values must be within their limits.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "control/api/http/request.h"
#include "control/api/resources/fields.h"

namespace {

namespace http = boost::beast::http;

constexpr std::string_view kFields[] = {"services", "group", "to",     "if_generation", "reason",
                                        "dry_run",  "then",  "weight", "timeout"};

void expect(bool condition) {
  if (!condition) std::abort();
}

void expect_complete(const teal::Refusal& refusal) {
  expect(refusal.status >= 400 && refusal.status < 600 && !refusal.code.empty() && !refusal.message.empty());
}

void read_body(const std::string& body) {
  auto fields = teal::BodyFields::parse(body, kFields);
  if (!fields) return expect_complete(fields.error());
  static constexpr const char* kThen[] = {"wait", "reset"};
  if (const auto names = fields->texts("services")) expect(!names->empty());
  (void)fields->text("group");
  if (const auto to = fields->text("to"))
    if (const auto colour = teal::parse_colour("to", *to); !colour) expect_complete(colour.error());
  (void)fields->number("if_generation");
  (void)fields->flag("dry_run");
  if (const auto then = fields->one_of("then", kThen)) expect(*then < 2);
  if (!fields->is_text("weight")) (void)fields->number("weight");
  if (fields->error()) expect_complete(*fields->error());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(8 * 1024);
  parser.body_limit(64 * 1024);
  parser.eager(true);
  boost::system::error_code error;
  parser.put(boost::asio::buffer(data, bytes), error);
  if (parser.is_header_done()) {
    const auto& message = parser.get();
    teal::Request request;
    const auto parsed =
        teal::parse_request_target({message.target().data(), message.target().size()}, request);
    if (!parsed) {
      expect_complete(parsed.error());
    } else {
      expect(!request.path.empty());
      if (const auto checked = teal::check_query(request, kFields); !checked)
        expect_complete(checked.error());
      const auto number = teal::query_number(request, "weight", 1, 1000);
      if (!number) expect_complete(number.error());
      if (number && *number) expect(**number >= 1 && **number <= 1000);
    }
    (void)teal::is_loopback_host({message[http::field::host].data(), message[http::field::host].size()});
    read_body(message.body());
  }
  read_body(std::string(reinterpret_cast<const char*>(data), bytes));
  return 0;
}
