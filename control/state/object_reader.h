// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON that may be damaged: each value is checked, and the first one that is not as expected becomes
// the error, with its path: "services[0].active is 7, expected \"blue\" or \"green\"".
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace teal {

// Reads the fields of one JSON object. The first value that is not as expected is kept as the error; values
// that are read after that one must not be used.
class ObjectReader {
 public:
  ObjectReader(const nlohmann::ordered_json& object, std::string name, std::string& error)
      : object_(object), name_(std::move(name)), error_(error) {
    if (!object_.is_object()) refuse("", object_, "an object");
  }

  bool fine() const { return error_.empty(); }

  int64_t integer(const char* field, int64_t least, int64_t most) {
    const nlohmann::ordered_json& value = find(field);
    if (value.is_number_integer()) {
      const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX};
      const int64_t number = fits ? value.get<int64_t>() : most;
      if (fits && number >= least && number <= most) return number;
    }
    refuse(field, value, fmt::format("an integer from {} to {}", least, most));
    return least;
  }
  std::optional<int64_t> integer_or_null(const char* field, int64_t least, int64_t most) {
    if (find(field).is_null()) return std::nullopt;
    return integer(field, least, most);
  }

  // The index of the value in `names`.
  size_t one_of(const char* field, std::span<const char* const> names) {
    const nlohmann::ordered_json& value = find(field);
    for (size_t i = 0; i < names.size(); ++i)
      if (value.is_string() && value.get_ref<const std::string&>() == names[i]) return i;
    refuse(field, value, fmt::format("\"{}\"", fmt::join(names, "\" or \"")));
    return 0;
  }
  std::optional<size_t> one_of_or_null(const char* field, std::span<const char* const> names) {
    if (find(field).is_null()) return std::nullopt;
    return one_of(field, names);
  }

  bool flag(const char* field) {
    const nlohmann::ordered_json& value = find(field);
    if (value.is_boolean()) return value.get<bool>();
    refuse(field, value, "true or false");
    return false;
  }
  std::optional<std::string> text_or_null(const char* field) {
    const nlohmann::ordered_json& value = find(field);
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_null()) refuse(field, value, "text or null");
    return std::nullopt;
  }
  // An array of integers, each greater than the one before. Returns less than `at_least` values only if the
  // array was refused.
  std::vector<int64_t> rising(const char* field, size_t at_least, size_t at_most, int64_t least,
                              int64_t most);

  // Reports a field whose value the caller cannot use.
  void refuse(const char* field, const std::string& expected) { refuse(field, find(field), expected); }

  // Calls read(ObjectReader&) with the object.
  template <typename Read>
  void object_or_null(const char* field, Read read) {
    const nlohmann::ordered_json& value = find(field);
    if (value.is_null()) return;
    if (!value.is_object()) return refuse(field, value, "an object");
    ObjectReader object(value, path(field), error_);
    read(object);
  }

  // Calls read(ObjectReader&) with each element of an array of objects.
  template <typename Read>
  void each(const char* field, size_t least, size_t most, Read read) {
    const nlohmann::ordered_json& list = find(field);
    if (!list.is_array() || list.size() < least || list.size() > most)
      return refuse(field, list,
                    fmt::format("an array of {} objects",
                                least == most ? std::to_string(most) : fmt::format("at most {}", most)));
    for (size_t i = 0; i < list.size() && fine(); ++i) {
      ObjectReader element(list[i], fmt::format("{}[{}]", path(field), i), error_);
      if (element.fine()) read(element);
    }
  }

  // An id that no other object of the list has.
  template <size_t kCount>
  uint16_t new_id(std::bitset<kCount>& seen) {
    const auto id = static_cast<uint16_t>(integer("id", 0, kCount - 1));
    if (fine() && seen[id]) refuse("id", object_.at("id"), "another one in each object");
    seen.set(id);
    return id;
  }

 private:
  const nlohmann::ordered_json& find(const char* field) const {
    static const nlohmann::ordered_json kMissing(nlohmann::ordered_json::value_t::discarded);
    if (!object_.is_object()) return kMissing;
    const auto found = object_.find(field);
    return found == object_.end() ? kMissing : *found;
  }
  std::string path(const char* field) const {
    return name_.empty() || *field == '\0' ? name_ + field : name_ + "." + field;
  }
  void refuse(const char* field, const nlohmann::ordered_json& value, const std::string& expected);

  const nlohmann::ordered_json& object_;
  std::string name_;
  std::string& error_;
};

}  // namespace teal
