// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_file.h"

#include <nlohmann/json.hpp>

#include "control/loop/run_file.h"

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kHealthFileVersion = 1;

std::string path_in(const std::string& run_dir) {
  return run_dir + "/health.json";
}

std::optional<int64_t> time_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  const bool fits = !found->is_number_unsigned() || found->get<uint64_t>() <= uint64_t{INT64_MAX} / 2;
  const int64_t time = fits ? found->get<int64_t>() : -1;
  return time < 0 ? std::nullopt : std::optional(time);
}

std::optional<std::string> text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace

std::string health_text(const HealthMemory& memory) {
  std::string text = "{\"version\":" + std::to_string(kHealthFileVersion) +
                     ",\"heard_ms\":" + std::to_string(memory.heard_ms) + ",\"backends\":[";
  bool first = true;
  for (const auto& [name, known] : memory.backends) {
    const Json entry = {{"service", name.first},  {"address", name.second},     {"up", known.up},
                        {"reason", known.reason}, {"since_ms", known.since_ms}, {"rose_ms", known.rose_ms}};
    if (!std::exchange(first, false)) text += ',';
    text += "\n" + entry.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return text + "]}\n";
}

tl::expected<HealthMemory, std::string> parse_health(std::string_view text) {
  const auto bad = [](const char* what) { return tl::unexpected(std::string(what)); };
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad("it is not a JSON object");
  const auto version = time_in(json, "version");
  if (version != kHealthFileVersion) return bad("it has another version");
  const auto heard_ms = time_in(json, "heard_ms");
  const auto backends = json.find("backends");
  if (!heard_ms || backends == json.end() || !backends->is_array()) return bad("it lacks a field");
  HealthMemory memory{.backends = {}, .heard_ms = *heard_ms};
  if (backends->size() > kMaxBackends) return bad("it has too many backends");
  for (const Json& entry : *backends) {
    if (!entry.is_object()) return bad("a backend is not an object");
    const auto service = text_in(entry, "service"), address = text_in(entry, "address"),
               reason = text_in(entry, "reason");
    const auto since_ms = time_in(entry, "since_ms"), rose_ms = time_in(entry, "rose_ms");
    const auto up = entry.find("up");
    if (!service || !address || !reason || !since_ms || !rose_ms || up == entry.end() || !up->is_boolean())
      return bad("a backend lacks a field");
    memory.backends[{*service, *address}] = {
        .up = up->get<bool>(), .reason = clean_reason(*reason), .since_ms = *since_ms, .rose_ms = *rose_ms};
  }
  return memory;
}

tl::expected<void, std::string> write_health_file(const std::string& run_dir, const std::string& text) {
  return replace_run_file(path_in(run_dir), text);
}

tl::expected<HealthMemory, std::string> read_health_file(const std::string& run_dir) {
  return read_run_file(path_in(run_dir), parse_health);
}

}  // namespace teal
