// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/fields.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "dataplane/config/config_reader.h"

namespace teal {

namespace {

std::string joined(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

bool is_known(std::string_view name, std::span<const std::string_view> known) {
  return std::find(known.begin(), known.end(), name) != known.end();
}

constexpr int kDeepest = 8;

}  // namespace

tl::expected<BodyFields, Refusal> BodyFields::parse(const std::string& body,
                                                    std::span<const std::string_view> known) {
  BodyFields fields;
  fields.object_ = nlohmann::json::object();
  // To copy or print a nested value takes stack for each level.
  bool is_too_deep = false;
  const auto limit_depth = [&](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    is_too_deep = is_too_deep || depth > kDeepest;
    return !is_too_deep;
  };
  try {
    if (!body.empty()) fields.object_ = nlohmann::json::parse(body, limit_depth);
  } catch (const nlohmann::json::parse_error& error) {
    return tl::unexpected(Refusal::bad_request(
        fmt::format("the body is not valid JSON at byte {}", error.byte), "send a JSON object"));
  } catch (const nlohmann::json::out_of_range&) {
    return tl::unexpected(Refusal::bad_request("the body has a number out of range"));
  }
  if (is_too_deep)
    return tl::unexpected(
        Refusal::bad_request(fmt::format("the body has values in more than {} levels", kDeepest)));
  if (!fields.object_.is_object())
    return tl::unexpected(Refusal::bad_request(
        fmt::format("the body is a JSON {}, expected an object", fields.object_.type_name())));
  std::string unknown;
  for (const auto& [name, value] : fields.object_.items())
    if (!is_known(name, known)) unknown += (unknown.empty() ? "\"" : ", \"") + name + "\"";
  if (!unknown.empty())
    return tl::unexpected(Refusal::bad_request("unknown field " + unknown, "known fields: " + joined(known)));
  return fields;
}

const nlohmann::json* BodyFields::find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void BodyFields::refuse(const char* name, const std::string& expected) {
  const nlohmann::json* value = find(name);
  if (error_ || value == nullptr) return;
  error_ = Refusal::bad_request(
      fmt::format("field \"{}\": expected {}, got {}", name, expected, value->dump().substr(0, 100)));
}

void BodyFields::report(const char* name, const std::string& problem) {
  if (!error_) error_ = Refusal::bad_request(fmt::format("field \"{}\" {}", name, problem));
}

void BodyFields::require(const char* name, const std::string& expected) {
  if (!error_ && find(name) == nullptr)
    error_ = Refusal::bad_request(fmt::format("field \"{}\" is missing, expected {}", name, expected));
}

std::optional<std::chrono::milliseconds> BodyFields::duration(const char* name,
                                                              std::chrono::milliseconds least,
                                                              std::chrono::milliseconds most) {
  const std::optional<std::string> written = text(name);
  if (!written) return std::nullopt;
  const auto duration = parse_duration(*written);
  if (duration && *duration >= least && *duration <= most) return duration;
  refuse(name, fmt::format("a duration from \"{}\" to \"{}\" such as \"30s\" or \"2h4m\"",
                           duration_text(least), duration_text(most)));
  return std::nullopt;
}

std::optional<std::string> BodyFields::text(const char* name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  refuse(name, "a string");
  return std::nullopt;
}

std::string BodyFields::text_without(std::initializer_list<const char*> names) const {
  nlohmann::json rest = object_;
  for (const char* name : names) rest.erase(name);
  return rest.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::vector<std::string>> BodyFields::texts(const char* name, size_t least) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  const auto is_string = [](const nlohmann::json& element) { return element.is_string(); };
  if (value->is_array() && value->size() >= least && std::all_of(value->begin(), value->end(), is_string))
    return value->get<std::vector<std::string>>();
  refuse(name, least == 0 ? "a list of strings" : "a list of one or more strings");
  return std::nullopt;
}

std::optional<uint64_t> BodyFields::number(const char* name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number_unsigned()) return value->get<uint64_t>();
  refuse(name, "an integer of 0 or more");
  return std::nullopt;
}

std::optional<bool> BodyFields::flag(const char* name) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_boolean()) return value->get<bool>();
  refuse(name, "true or false");
  return std::nullopt;
}

bool BodyFields::is_text(const char* name) const {
  const nlohmann::json* value = find(name);
  return value != nullptr && value->is_string();
}

std::optional<size_t> BodyFields::one_of(const char* name, std::span<const char* const> values) {
  const nlohmann::json* value = find(name);
  if (value == nullptr) return std::nullopt;
  std::string names;
  for (size_t i = 0; i < values.size(); ++i) {
    if (value->is_string() && *value == values[i]) return i;
    names += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == values.size() ? " or " : ", ", values[i]);
  }
  refuse(name, names);
  return std::nullopt;
}

tl::expected<void, Refusal> check_query(const Request& request, std::span<const std::string_view> known) {
  if (known.empty() && !request.query.empty())
    return tl::unexpected(Refusal::bad_request(fmt::format("{} accepts no query parameters, got \"{}\"",
                                                           request.path, request.query.front().first)));
  for (size_t i = 0; i < request.query.size(); ++i) {
    const std::string& name = request.query[i].first;
    if (!is_known(name, known))
      return tl::unexpected(Refusal::bad_request(fmt::format("unknown parameter \"{}\"", name),
                                                 "known parameters: " + joined(known)));
    for (size_t other = 0; other < i; ++other)
      if (request.query[other].first == name)
        return tl::unexpected(Refusal::bad_request(fmt::format("parameter \"{}\" is given twice", name)));
  }
  return {};
}

std::optional<std::string> query_value(const Request& request, std::string_view name) {
  for (const auto& [key, value] : request.query)
    if (key == name) return value;
  return std::nullopt;
}

Refusal bad_parameter(std::string_view name, const std::string& value, std::string_view expected) {
  return Refusal::bad_request(
      fmt::format("parameter \"{}\": expected {}, got \"{}\"", name, expected, value.substr(0, 100)));
}

tl::expected<std::optional<uint64_t>, Refusal> query_number(const Request& request, std::string_view name,
                                                            uint64_t least, uint64_t most) {
  const std::optional<std::string> text = query_value(request, name);
  if (!text) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (text->empty() || error != std::errc() || end != text->data() + text->size() || number < least ||
      number > most)
    return tl::unexpected(bad_parameter(name, *text, fmt::format("an integer from {} to {}", least, most)));
  return number;
}

tl::expected<Colour, Refusal> parse_colour(const std::string& field, const std::string& text) {
  for (size_t colour = 0; colour < kColours; ++colour)
    if (text == kColourNames[colour]) return static_cast<Colour>(colour);
  return tl::unexpected(Refusal::bad_request(
      fmt::format("\"{}\": unknown colour \"{}\", expected blue or green", field, text)));
}

}  // namespace teal
