// SPDX-License-Identifier: Apache-2.0
//
// A thin layer over toml++, used by both readers of the config file (dataplane/config/options,
// control/config). It gives typed access to fields, and it collects errors instead of stopping at the first
// one. toml++ is included only by the .cc file.
//
// Every error has the form FILE:LINE: FIELD: what is wrong, what was expected. Indexes in FIELD count from 0:
// `service[2].vip` belongs to the third [[service]].
//
// Worked example:
//
//   auto document = ConfigDocument::read("teal.toml");
//   if (!document) return tl::unexpected(document.error());  // the file is unreadable or not TOML
//   const ConfigNode root = document->root();
//   for (const ConfigNode& port : root.tables("port")) {
//     port.allow_only({"name", "device"});
//     if (auto name = port.require("name", "a name")) use(name->text("a name"));
//   }
//   if (auto errors = document->errors(); !errors.empty()) return tl::unexpected(errors);
//
// With a misspelt field, errors() holds: teal.toml:9: port[0].nmae: is an unknown field, did you mean "name"?
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

inline constexpr std::chrono::milliseconds kMaxDuration = std::chrono::hours(10'000);

// Parses a duration such as "250ms", "30s", "1m30s" or "2h4m": integers with the units h, m, s and ms, each
// at most once, from large to small. Returns nothing for any other text, or for more than kMaxDuration.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Returns the shortest text that parse_duration() reads as `duration`; "0s" for zero.
std::string duration_text(std::chrono::milliseconds duration);

// Returns `text` in double quotes for an error message. Control characters are escaped, and a long text is
// cut. The name is not `quoted`, as argument-dependent lookup would also find std::quoted.
std::string in_quotes(std::string_view text);

// A value of the file, with its field name and line. It refers to its document, which must outlive it.
class ConfigNode {
 public:
  const std::string& field() const { return field_; }
  uint32_t line() const { return line_; }

  // Adds an error about this value to the document. `what` says what is wrong and what was expected.
  void error(const std::string& what) const;

  bool is_text() const;
  bool is_table() const;

  // Typed reads. Each adds an error and returns nothing if the value has another type or is out of bounds.
  // `expected` completes the error "is an integer, expected ...".
  std::optional<std::string> text(std::string_view expected) const;
  std::optional<int64_t> integer(int64_t least, int64_t most) const;
  std::optional<bool> flag() const;  // true or false
  std::optional<std::chrono::milliseconds> duration(std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) const;
  std::optional<std::vector<ConfigNode>> elements(std::string_view expected) const;  // of an array
  bool expect_table(std::string_view expected) const;

  // Reads one of a few strings and returns the value that belongs to it. Adds an error for any other value.
  template <typename T>
  std::optional<T> choice(std::initializer_list<std::pair<std::string_view, T>> choices) const {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : choices) words.push_back(word);
    const auto chosen = choice_index(words);
    if (!chosen) return std::nullopt;
    return (choices.begin() + *chosen)->second;
  }

  // Members of a table. If this value is not a table, these return nothing and add no error, as
  // expect_table() has reported it.
  std::optional<ConfigNode> find(std::string_view key) const;
  // Adds an error if the member is missing.
  std::optional<ConfigNode> require(std::string_view key, std::string_view expected) const;
  // Returns the tables of [[key]]; none if the member is missing. Adds an error for any other type.
  std::vector<ConfigNode> tables(std::string_view key) const;
  // The same, and adds an error if the table is missing.
  std::vector<ConfigNode> require_tables(std::string_view key, std::string_view expected) const;
  // Adds an error for each member that is not in `keys`.
  void allow_only(const std::vector<std::string_view>& keys) const;

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

  // Reads a file. The error is one line: the file is unreadable, or the first syntax error.
  static tl::expected<ConfigDocument, Errors> read(const std::string& path);
  // Reads a text in memory. Errors name `path` as the file.
  static tl::expected<ConfigDocument, Errors> parse(std::string_view text, const std::string& path);

  ConfigDocument(ConfigDocument&&) noexcept;
  ConfigDocument& operator=(ConfigDocument&&) noexcept;
  ~ConfigDocument();

  const std::string& text() const;  // as it was parsed
  ConfigNode root() const;
  Errors errors() const;  // all errors so far, by line

 private:
  struct Content;
  explicit ConfigDocument(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

}  // namespace teal
