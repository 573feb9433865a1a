// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/config_reader.h"

#include "dataplane/config/nearest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include <toml++/toml.h>

namespace teal {

using std::chrono::milliseconds;

namespace {

// A config with 1,024 services and 4,096 backends has about 400 KB. The limit prevents that a wrong path (a
// device, a disk image) fills the memory.
constexpr size_t kMaxFileBytes = 16 << 20;

constexpr std::pair<std::string_view, int64_t> kUnits[] = {
    {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
}

const toml::node& as_node(const void* node) {
  return *static_cast<const toml::node*>(node);
}

uint32_t line_of(const toml::source_region& region, uint32_t otherwise) {
  return region.begin.line != 0 ? region.begin.line : otherwise;
}

std::string_view type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a floating-point number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

// "a", "b" or "c"
std::string any_of_text(const std::vector<std::string_view>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += in_quotes(words[i]);
  }
  return text;
}

// Escapes control characters: an error stays one line and cannot move the terminal's cursor.
std::string without_controls(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      result += std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      result += c;
    }
  }
  return result;
}

tl::expected<std::string, std::string> read_file(const std::string& path) {
  // O_NONBLOCK: opening a FIFO without a writer would block.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return tl::unexpected<std::string>(std::strerror(errno));
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  int error = 0;
  while (error == 0 && text.size() <= kMaxFileBytes && (got = ::read(fd, buffer, sizeof(buffer))) != 0) {
    if (got > 0) {
      text.append(buffer, static_cast<size_t>(got));
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  close(fd);
  if (error != 0) return tl::unexpected<std::string>(std::strerror(error));
  if (text.size() > kMaxFileBytes) return tl::unexpected<std::string>("it is larger than 16 MiB");
  return text;
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  const auto* unit = std::begin(kUnits);
  while (!text.empty()) {
    int64_t number = 0;
    size_t digits = 0;
    for (; digits < text.size() && is_digit(text[digits]); ++digits) {
      number = number * 10 + (text[digits] - '0');
      if (number > kMaxDuration.count()) return std::nullopt;
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    const auto letters = std::find_if(text.begin(), text.end(), is_digit) - text.begin();
    const auto name = text.substr(0, static_cast<size_t>(letters));
    // The search starts after the last unit, so each unit occurs once and in order.
    unit =
        std::find_if(unit, std::end(kUnits), [&](const auto& candidate) { return candidate.first == name; });
    if (unit == std::end(kUnits) || number > kMaxDuration.count() / unit->second) return std::nullopt;
    total += number * unit->second;
    if (total > kMaxDuration.count()) return std::nullopt;
    text.remove_prefix(name.size());
    ++unit;
  }
  return milliseconds(total);
}

std::string duration_text(milliseconds duration) {
  std::string text;
  int64_t rest = duration.count();
  for (const auto& [name, unit_ms] : kUnits) {
    if (rest >= unit_ms) text += std::to_string(rest / unit_ms) + std::string(name);
    rest %= unit_ms;
  }
  return text.empty() ? "0s" : text;
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kMaxQuotedBytes = 80;
  std::string escaped = without_controls(text.substr(0, kMaxQuotedBytes));
  for (size_t at = 0; (at = escaped.find('"', at)) != std::string::npos; at += 2) escaped.insert(at, 1, '\\');
  return "\"" + escaped + (text.size() > kMaxQuotedBytes ? "\"..." : "\"");
}

// Returns the line of this number, from 1. Bytes that are not ASCII, and may not be UTF-8, become '?'.
std::string ascii_line(std::string_view text, uint32_t number) {
  for (; number > 1; --number) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  std::string line(text.substr(0, text.find('\n')));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; }, '?');
  return line;
}

// Collects the errors of a document.
struct ConfigNode::Sink {
  struct Error {
    uint32_t line;
    std::string text;
  };
  std::string path;
  std::vector<Error> errors;

  std::string at_line(uint32_t line) const { return path + ":" + std::to_string(line) + ": "; }
};

void ConfigNode::error(const std::string& what) const {
  sink_->errors.push_back({line_, sink_->at_line(line_) + field_ + ": " + what});
}

void ConfigNode::wrong_type(std::string_view expected) const {
  error("is " + std::string(type_text(as_node(node_))) + ", expected " + std::string(expected));
}

bool ConfigNode::is_text() const {
  return as_node(node_).is_string();
}
bool ConfigNode::is_table() const {
  return as_node(node_).is_table();
}

bool ConfigNode::expect_table(std::string_view expected) const {
  if (!is_table()) wrong_type(expected);
  return is_table();
}

std::optional<std::string> ConfigNode::text(std::string_view expected) const {
  if (const auto* value = as_node(node_).as_string()) return value->get();
  wrong_type(expected);
  return std::nullopt;
}

std::optional<bool> ConfigNode::flag() const {
  if (const auto* value = as_node(node_).as_boolean()) return value->get();
  wrong_type("true or false");
  return std::nullopt;
}

std::optional<int64_t> ConfigNode::integer(int64_t least, int64_t most) const {
  const std::string expected =
      most == INT64_MAX ? "an integer of at least " + std::to_string(least)
                        : "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  const auto* value = as_node(node_).as_integer();
  if (value == nullptr) {
    wrong_type(expected);
    return std::nullopt;
  }
  if (value->get() < least || value->get() > most) {
    error("is " + std::to_string(value->get()) + ", expected " + expected);
    return std::nullopt;
  }
  return value->get();
}

std::optional<milliseconds> ConfigNode::duration(milliseconds least, milliseconds most) const {
  const std::string expected = "a duration from \"" + duration_text(least) + "\" to \"" +
                               duration_text(most) + "\" such as \"250ms\", \"30s\" or \"2h4m\"";
  const auto written = text(expected);
  if (!written) return std::nullopt;
  const auto duration = parse_duration(*written);
  if (!duration || *duration < least || *duration > most) {
    error(std::string(duration ? "is " : "is not a duration: ") + in_quotes(*written) + ", expected " +
          expected);
    return std::nullopt;
  }
  return duration;
}

std::optional<std::vector<ConfigNode>> ConfigNode::elements(std::string_view expected) const {
  const auto* array = as_node(node_).as_array();
  if (array == nullptr) {
    wrong_type(expected);
    return std::nullopt;
  }
  std::vector<ConfigNode> result;
  result.reserve(array->size());
  for (size_t i = 0; i < array->size(); ++i) {
    const toml::node& element = *array->get(i);
    result.push_back(
        {sink_, &element, field_ + "[" + std::to_string(i) + "]", line_of(element.source(), line_)});
  }
  return result;
}

std::optional<size_t> ConfigNode::choice_index(const std::vector<std::string_view>& words) const {
  const std::string expected = any_of_text(words);
  const auto written = text(expected);
  if (!written) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), *written);
  if (found != words.end()) return static_cast<size_t>(found - words.begin());
  error("is " + in_quotes(*written) + ", expected " + expected);
  return std::nullopt;
}

std::string ConfigNode::member_field(std::string_view key) const {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), is_bare);
  const std::string name = bare ? std::string(key) : in_quotes(key);
  return field_.empty() ? name : field_ + "." + name;
}

std::optional<ConfigNode> ConfigNode::find(std::string_view key) const {
  const auto* table = as_node(node_).as_table();
  const toml::node* node = table != nullptr ? table->get(key) : nullptr;
  if (node == nullptr) return std::nullopt;
  return ConfigNode(sink_, node, member_field(key), line_of(node->source(), line_));
}

std::optional<ConfigNode> ConfigNode::require(std::string_view key, std::string_view expected) const {
  auto node = find(key);
  if (!node && is_table()) {
    ConfigNode(sink_, node_, member_field(key), line_).error("is missing, expected " + std::string(expected));
  }
  return node;
}

std::vector<ConfigNode> ConfigNode::tables(std::string_view key) const {
  const auto node = find(key);
  if (!node) return {};
  const std::string expected = "[[" + std::string(key) + "]]";
  auto all = node->elements(expected);
  if (!all) return {};
  std::erase_if(*all, [&](const ConfigNode& element) { return !element.expect_table(expected); });
  return *std::move(all);
}

std::vector<ConfigNode> ConfigNode::require_tables(std::string_view key, std::string_view expected) const {
  const auto node = require(key, expected);
  if (!node) return {};
  const auto* array = as_node(node->node_).as_array();
  if (array != nullptr && array->empty()) node->error("is empty, expected " + std::string(expected));
  return tables(key);
}

void ConfigNode::allow_only(const std::vector<std::string_view>& keys) const {
  const auto* table = as_node(node_).as_table();
  if (table == nullptr) return;
  for (const auto& [key, value] : *table) {
    if (std::find(keys.begin(), keys.end(), key.str()) != keys.end()) continue;
    const ConfigNode unknown(sink_, &value, member_field(key.str()), line_of(key.source(), line_));
    unknown.error("is an unknown field, " + nearest_hint(key.str(), keys, "expected " + any_of_text(keys)));
  }
}

struct ConfigDocument::Content {
  std::string text;
  toml::table table;
  ConfigNode::Sink sink;
};

ConfigDocument::ConfigDocument(std::unique_ptr<Content> content) : content_(std::move(content)) {}
ConfigDocument::ConfigDocument(ConfigDocument&&) noexcept = default;
ConfigDocument& ConfigDocument::operator=(ConfigDocument&&) noexcept = default;
ConfigDocument::~ConfigDocument() = default;

tl::expected<ConfigDocument, ConfigDocument::Errors> ConfigDocument::read(const std::string& path) {
  const auto text = read_file(path);
  if (!text)
    return tl::unexpected(Errors{path + ": cannot be read: " + text.error() + ", expected a TOML file"});
  return parse(*text, path);
}

tl::expected<ConfigDocument, ConfigDocument::Errors> ConfigDocument::parse(std::string_view text,
                                                                           const std::string& path) {
  auto content = std::make_unique<Content>();
  content->sink.path = path;
  content->text = text;
  try {
    content->table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    const uint32_t line = line_of(error.source(), 1);
    return tl::unexpected(Errors{content->sink.at_line(line) +
                                 "TOML syntax: " + without_controls(error.description()) + ", in the line " +
                                 in_quotes(ascii_line(text, line))});
  }
  return ConfigDocument(std::move(content));
}

const std::string& ConfigDocument::text() const {
  return content_->text;
}

ConfigNode ConfigDocument::root() const {
  return {&content_->sink, &content_->table, "", 1};
}

ConfigDocument::Errors ConfigDocument::errors() const {
  std::vector<ConfigNode::Sink::Error> sorted = content_->sink.errors;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  Errors texts;
  for (auto& error : sorted) texts.push_back(std::move(error.text));
  return texts;
}

}  // namespace teal
