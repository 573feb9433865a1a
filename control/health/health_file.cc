// SPDX-License-Identifier: Apache-2.0
#include "control/health/health_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace teal {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxHealthFile = 8 << 20;
constexpr int kHealthFileVersion = 1;

std::string path_in(const std::string& run_dir) {
  return run_dir + "/health.json";
}

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
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
  const std::string path = path_in(run_dir), next = path + ".new";
  const auto failed = [&](const char* what) {
    return tl::unexpected(next + ": cannot " + what + ": " + std::strerror(errno));
  };
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0) return failed("create it");
  const bool written = write_whole(fd, text);
  const bool closed = ::close(fd) == 0;
  if (!written || !closed) return failed("write it");
  if (::rename(next.c_str(), path.c_str()) != 0) return failed("rename it");
  return {};
}

tl::expected<HealthMemory, std::string> read_health_file(const std::string& run_dir) {
  const std::string path = path_in(run_dir);
  // O_NONBLOCK: opening a FIFO without a writer would block.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return HealthMemory();
  if (fd < 0) return tl::unexpected(path + ": cannot be read: " + std::strerror(errno));
  std::string text;
  char buffer[65536];
  ssize_t got = 0;
  while (text.size() <= kMaxHealthFile && (got = ::read(fd, buffer, sizeof(buffer))) != 0) {
    if (got > 0)
      text.append(buffer, static_cast<size_t>(got));
    else if (errno != EINTR)
      break;
  }
  const int error = got < 0 ? errno : 0;
  ::close(fd);
  if (error != 0) return tl::unexpected(path + ": cannot be read: " + std::strerror(error));
  if (text.size() > kMaxHealthFile) return tl::unexpected(path + ": is larger than 8 MiB");
  auto memory = parse_health(text);
  if (!memory) return tl::unexpected(path + ": " + memory.error());
  return memory;
}

}  // namespace teal
