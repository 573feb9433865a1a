// SPDX-License-Identifier: Apache-2.0
//
// Functions that read fields of the daemon's answers, and functions that put values into words. A field that
// is missing or has another type throws nlohmann's exception; run() reports it as a bad answer.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace teal::cli {

// Returns the text with '?' for each control character. Other people write names and reasons, and a terminal
// would obey control characters in them.
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

// Returns a duration: "3.1us", "12.3ms", "400ms", "1.5s", "33s", "4m12s", "2h5m", "3d4h".
std::string span_text(double seconds);

// A time: "2026-11-23 05:30:00Z". The API has "2026-11-23T05:30:00.123Z". Other texts are only cleaned.
std::string time_text(std::string_view rfc3339);
std::string time_text(time_t at);
// Returns the text with each time of the API in it as time_text() shows it.
std::string with_times(std::string_view text);

// Names the user by the fields "uid", "user" and "by_root": "alice", "alice (as root)", "user 59990",
// "teald".
std::string who_text(const nlohmann::json& object);

// "a, b"; for more than 8 names their number: "9 services".
std::string names_or_count(const std::vector<std::string>& names);

// "locked by alice since 2026-11-23 05:30:00Z: release freeze"
std::string lock_text(const nlohmann::json& lock);

}  // namespace teal::cli
