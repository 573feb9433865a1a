// SPDX-License-Identifier: Apache-2.0
//
// What verbs read of the daemon's answers, and the words they put it in. A field that is missing or of
// another type throws nlohmann's exception, which run() tells as a bad answer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace teal::cli {

// Reasons and names come from other people: what a terminal would obey is replaced.
std::string clean(std::string_view text);

std::string text(const nlohmann::json& object, const char* key);     // cleaned
std::string text_or(const nlohmann::json& object, const char* key);  // "" if it is missing or null
uint64_t number(const nlohmann::json& object, const char* key);
uint64_t number_or_0(const nlohmann::json& object, const char* key);
bool flag(const nlohmann::json& object, const char* key);                       // false if it is missing
const nlohmann::json& part(const nlohmann::json& object, const char* key);      // null if it is missing
std::vector<std::string> texts(const nlohmann::json& object, const char* key);  // none if it is missing

std::string other_colour(std::string_view colour);

std::string joined(const std::vector<std::string>& words, std::string_view separator);

// "1 flow", "2 flows"
std::string counted(uint64_t count, std::string_view noun);

// "0.4s", "33s", "4m12s", "2h05m", "3d04h"
std::string span_text(double seconds);

// "2m", "1m30s", "500ms": a time that somebody chose, as the config file has it.
std::string setting_text(double seconds);

// "2026-11-23T05:30:00.123Z" as "2026-11-23 05:30:00Z"; what is no such time as it is.
std::string time_text(std::string_view rfc3339);

// "a, b", or how many if that would be a long line.
std::string names_or_count(const std::vector<std::string>& names);

// "locked by alice since 2026-11-23 05:30:00Z: release freeze"
std::string lock_text(const nlohmann::json& lock);

}  // namespace teal::cli
