// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/answer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dataplane/config/config_reader.h"

namespace teal::cli {
namespace {

// More names than these are counted instead of listed. A line stays readable with 1,024 services.
constexpr size_t kNamesListed = 8;

constexpr uint64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;

}  // namespace

std::string clean(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // Terminals obey C0, DEL, and C1 in UTF-8 (C2 80 to C2 9F).
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) ++i;
    result += byte < 0x20 || byte == 0x7f || c1 ? '?' : text[i];
  }
  return result;
}

std::string text(const nlohmann::json& object, const char* key) {
  return clean(object.at(key).get_ref<const std::string&>());
}

std::string text_or(const nlohmann::json& object, const char* key) {
  const auto& value = part(object, key);
  return value.is_null() ? std::string() : clean(value.get_ref<const std::string&>());
}

uint64_t number(const nlohmann::json& object, const char* key) {
  return object.at(key).get<uint64_t>();
}

uint64_t number_or_0(const nlohmann::json& object, const char* key) {
  const auto& value = part(object, key);
  return value.is_null() ? 0 : value.get<uint64_t>();
}

bool flag(const nlohmann::json& object, const char* key) {
  const auto& value = part(object, key);
  return !value.is_null() && value.get<bool>();
}

const nlohmann::json& part(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kNull;
  if (!object.is_object()) return object.at(key);  // throws
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::vector<std::string> texts(const nlohmann::json& object, const char* key) {
  std::vector<std::string> result;
  for (const auto& element : part(object, key))
    result.push_back(clean(element.get_ref<const std::string&>()));
  return result;
}

std::string other_colour(std::string_view colour) {
  return colour == "blue" ? "green" : "blue";
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

std::string counted(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string span_text(double seconds) {
  if (!(seconds > 0)) return "0s";
  if (seconds < 9.95) return fmt::format("{:.1f}s", seconds);
  if (seconds > 1e9) return "years";
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < kMinute) return fmt::format("{}s", whole);
  if (whole < kHour) return fmt::format("{}m{:02}s", whole / kMinute, whole % kMinute);
  if (whole < kDay) return fmt::format("{}h{:02}m", whole / kHour, whole % kHour / kMinute);
  return fmt::format("{}d{:02}h", whole / kDay, whole % kDay / kHour);
}

std::string setting_text(double seconds) {
  return duration_text(std::chrono::milliseconds(std::llround(std::clamp(seconds, 0.0, 1e9) * 1000)));
}

std::string time_text(std::string_view rfc3339) {
  constexpr std::string_view kShape = "2026-11-23T05:30:00";
  if (rfc3339.size() <= kShape.size() || rfc3339[10] != 'T' || rfc3339.back() != 'Z') return clean(rfc3339);
  return clean(fmt::format("{} {}Z", rfc3339.substr(0, 10), rfc3339.substr(11, 8)));
}

std::string names_or_count(const std::vector<std::string>& names) {
  if (names.size() > kNamesListed) return fmt::format("{} services", names.size());
  return joined(names, ", ");
}

std::string lock_text(const nlohmann::json& lock) {
  return fmt::format("locked by {} since {}: {}", text(lock, "user"), time_text(text(lock, "since")),
                     text(lock, "reason"));
}

}  // namespace teal::cli
