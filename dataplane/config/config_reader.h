// SPDX-License-Identifier: Apache-2.0
//
// A thin layer over toml++ that both config readers use (dataplane/options, control/config): typed access to
// fields that collects errors instead of stopping at the first. toml++ stays inside the .cc file.
//
// Every error reads FILE:LINE: FIELD: what is wrong, what was expected. FIELD counts from 0: `service[2].vip`
// is the third [[service]].
//
//   auto document = ConfigDocument::read("teal.toml");          // unreadable, or no TOML: its error is the
//   answer const ConfigNode root = document->root(); for (const ConfigNode& port : root.tables("port")) {
//     port.allow_only({"name", "device"});                      // teal.toml:9: port[0].nmae: is an unknown
//     field, did you mean "name"? if (auto name = port.require("name", "a name")) use(name->text("a name"));
//   }
//   if (auto errors = document->errors(); !errors.empty()) return tl::unexpected(errors);
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace teal {

// "250ms", "30s", "1m30s", "2h4m": integers with the units h, m, s, ms, each at most once and from large to
// small. Nothing for anything else, or for more than 10,000 hours.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// The shortest such text; "0s" for zero.
std::string duration_text(std::chrono::milliseconds duration);

// `text` in double quotes, for an error: control characters escaped, a long one cut. (Not `quoted`: with
// std::string arguments std::quoted would be found as well.)
std::string in_quotes(std::string_view text);

// A value of the file, with its place. Refers into its document, which must outlive it.
class ConfigNode {
 public:
  const std::string& field() const { return field_; }
  uint32_t line() const { return line_; }

  // Collects an error about this value. `what` says what is wrong and what was expected.
  void error(const std::string& what) const;

  bool is_text() const;
  bool is_table() const;

  // Typed reads. Each reports a value of another type, or out of bounds, and then returns nothing. `expected`
  // completes "is an integer, expected ...".
  std::optional<std::string> text(std::string_view expected) const;
  std::optional<int64_t> integer(int64_t least, int64_t most) const;
  std::optional<std::chrono::milliseconds> duration(std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) const;
  std::optional<std::vector<ConfigNode>> elements(std::string_view expected) const;  // of an array
  bool expect_table(std::string_view expected) const;

  // A string out of a few, each of which stands for a value.
  template <typename T>
  std::optional<T> choice(std::initializer_list<std::pair<std::string_view, T>> choices) const {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : choices) words.push_back(word);
    const auto chosen = choice_index(words);
    if (!chosen) return std::nullopt;
    return (choices.begin() + *chosen)->second;
  }

  // Members. Of a value that is no table: nothing, silently (expect_table() told).
  std::optional<ConfigNode> find(std::string_view key) const;
  std::optional<ConfigNode> require(std::string_view key,
                                    std::string_view expected) const;  // reports a missing one
  std::vector<ConfigNode> tables(
      std::string_view key) const;  // [[key]]; empty if absent, reports anything else
  std::vector<ConfigNode> require_tables(std::string_view key,
                                         std::string_view expected) const;  // at least one
  void allow_only(const std::vector<std::string_view>& keys) const;         // reports the other members

 private:
  friend class ConfigDocument;
  struct Sink;

  ConfigNode(Sink* sink, const void* node, std::string field, uint32_t line)
      : sink_(sink), node_(node), field_(std::move(field)), line_(line) {}
  void wrong_type(std::string_view expected) const;
  std::optional<size_t> choice_index(const std::vector<std::string_view>& words) const;
  std::string member_field(std::string_view key) const;

  Sink* sink_;
  const void* node_;  // a toml::node
  std::string field_;
  uint32_t line_;
};

class ConfigDocument {
 public:
  using Errors = std::vector<std::string>;

  // The error is one line: an unreadable file, or the first syntax error.
  static tl::expected<ConfigDocument, Errors> read(const std::string& path);
  // The same for a text in memory; `path` is what errors name.
  static tl::expected<ConfigDocument, Errors> parse(std::string_view text, const std::string& path);

  ConfigDocument(ConfigDocument&&) noexcept;
  ConfigDocument& operator=(ConfigDocument&&) noexcept;
  ~ConfigDocument();

  ConfigNode root() const;
  Errors errors() const;  // all that was collected so far, by line

 private:
  struct Content;
  explicit ConfigDocument(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

}  // namespace teal
