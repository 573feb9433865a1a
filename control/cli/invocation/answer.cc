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

constexpr std::string_view kTimeShape = "0000-00-00T00:00:00.000Z";  // 0: any digit

bool is_time(std::string_view text) {
  const auto fits = [](char c, char shape) { return shape == '0' ? c >= '0' && c <= '9' : c == shape; };
  return std::equal(text.begin(), text.end(), kTimeShape.begin(), kTimeShape.end(), fits);
}

// "3.1", "50", "420"
std::string short_number(double number) {
  std::string text = fmt::format("{:.{}f}", number, number < 99.95 ? 1 : 0);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

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
  if (seconds < 0.001) return short_number(seconds * 1e6) + "us";
  if (seconds < 0.9995) return short_number(seconds * 1e3) + "ms";
  if (seconds < 9.95) return short_number(seconds) + "s";
  if (seconds > 1e9) return "years";
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  const auto two = [whole](uint64_t large, char name, uint64_t small, char rest_name) {
    const uint64_t rest = whole % large / small;
    return fmt::format("{}{}", whole / large, name) + (rest == 0 ? "" : fmt::format("{}{}", rest, rest_name));
  };
  if (whole < kMinute) return fmt::format("{}s", whole);
  if (whole < kHour) return two(kMinute, 'm', 1, 's');
  if (whole < kDay) return two(kHour, 'h', kMinute, 'm');
  return two(kDay, 'd', kHour, 'h');
}

std::string time_text(std::string_view rfc3339) {
  return with_times(clean(rfc3339));
}

std::string time_text(time_t at) {
  tm utc{};
  gmtime_r(&at, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%F %TZ", &utc)};
}

std::string with_times(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::string_view here = text.substr(0, kTimeShape.size());
    const bool found = is_time(here);
    result += found ? fmt::format("{} {}Z", here.substr(0, 10), here.substr(11, 8)) : std::string(1, text[0]);
    text.remove_prefix(found ? kTimeShape.size() : 1);
  }
  return result;
}

std::string who_text(const nlohmann::json& object) {
  const auto& uid = part(object, "uid");
  std::string name = text_or(object, "user");
  if (name.empty()) name = uid == 0 ? "root" : "user " + uid.dump();
  return flag(object, "by_root") ? name + " (as root)" : name;
}

std::string names_or_count(const std::vector<std::string>& names) {
  if (names.size() > kNamesListed) return fmt::format("{} services", names.size());
  return joined(names, ", ");
}

std::string lock_text(const nlohmann::json& lock) {
  return fmt::format("locked by {} since {}: {}", who_text(lock), time_text(text(lock, "since")),
                     text(lock, "reason"));
}

}  // namespace teal::cli
