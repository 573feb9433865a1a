// SPDX-License-Identifier: Apache-2.0
//
// Typed access to a TOML file that collects all errors. Both config readers use it:
// dataplane/config/options.h and control/config/config.h. Only the .cc file includes toml++.
//
// An error is one line, "FILE:LINE: FIELD: what is wrong, expected what". FIELD counts from 0:
// `service[2].vip` is the VIP of the third [[service]].
//
//   auto document = ConfigDocument::read("teal.toml");
//   if (!document) return tl::unexpected(document.error());   // not readable, or not TOML
//   const ConfigNode root = document->root();
//   for (const ConfigNode& port : root.tables("port")) {
//     port.allow_only({"name", "device"});
//     if (auto name = port.require("name", "a name")) use(name->text("a name"));
//   }
//   if (auto errors = document->errors(); !errors.empty()) return tl::unexpected(errors);
//
// For a port with `nmae = "front"` in line 9, errors() lists:
//
//   teal.toml:8: port[0].name: is missing, expected a name
//   teal.toml:9: port[0].nmae: is an unknown field, did you mean "name"?
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

// Parses "250ms", "30s", "1m30s" or "2h4m": integers with the units h, m, s and ms, each at most once, from
// large to small. Returns nullopt for any other text and for more than 10,000 hours.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
// Returns the shortest text that parse_duration() reads as this duration. Zero is "0s".
std::string duration_text(std::chrono::milliseconds duration);

// Returns `text` in double quotes, for an error. Control characters are escaped and a long text is cut. (The
// name is not `quoted`, because argument-dependent lookup would also find std::quoted.)
std::string in_quotes(std::string_view text);

// A value of the file with its field name and line. It points into its document, which must outlive it.
class ConfigNode {
 public:
  const std::string& field() const { return field_; }
  uint32_t line() const { return line_; }

  // Adds an error about this value. `what` says what is wrong and what is expected.
  void error(const std::string& what) const;

  bool is_text() const;
  bool is_table() const;

  // Typed reads. If the value has another type or is out of bounds, they add an error and return nullopt.
  // `expected` completes the error "is an integer, expected ...".
  std::optional<std::string> text(std::string_view expected) const;
  std::optional<int64_t> integer(int64_t least, int64_t most) const;
  std::optional<std::chrono::milliseconds> duration(std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most) const;
  std::optional<std::vector<ConfigNode>> elements(std::string_view expected) const;  // reads an array
  bool expect_table(std::string_view expected) const;  // false, and adds an error, for other types

  // Reads a string that must be one of a few words, and returns the word's value.
  template <typename T>
  std::optional<T> choice(std::initializer_list<std::pair<std::string_view, T>> choices) const {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : choices) words.push_back(word);
    const auto chosen = choice_index(words);
    if (!chosen) return std::nullopt;
    return (choices.begin() + *chosen)->second;
  }

  // Members of a table. A value of another type has no members; these functions add no error for it, because
  // expect_table() has done so.
  std::optional<ConfigNode> find(std::string_view key) const;
  // Adds an error if the member is missing.
  std::optional<ConfigNode> require(std::string_view key, std::string_view expected) const;
  // The tables [[key]]; empty if there are none. Adds an error if `key` is something else.
  std::vector<ConfigNode> tables(std::string_view key) const;
  // The same. Adds an error if there are none.
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

  // Fails with one error: the file cannot be read, or the first syntax error.
  static tl::expected<ConfigDocument, Errors> read(const std::string& path);
  // Parses a text in memory. Errors name `path` as the file.
  static tl::expected<ConfigDocument, Errors> parse(std::string_view text, const std::string& path);

  ConfigDocument(ConfigDocument&&) noexcept;
  ConfigDocument& operator=(ConfigDocument&&) noexcept;
  ~ConfigDocument();

  ConfigNode root() const;
  Errors errors() const;  // all errors so far, sorted by line

 private:
  struct Content;
  explicit ConfigDocument(std::unique_ptr<Content> content);
  std::unique_ptr<Content> content_;
};

}  // namespace teal
