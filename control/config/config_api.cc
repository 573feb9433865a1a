// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_api.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "control/config/config_socket.h"

namespace teal {

namespace {

constexpr int64_t kMaxId = UINT32_MAX - 1;  // for chown, UINT32_MAX means "keep the id"
constexpr char kModeForm[] = "four octal digits from \"0001\" to \"0777\" such as \"0660\"";

struct UserLookup {
  static constexpr char kKind[] = "user";
  using Entry = passwd;
  static int find(const char* name, Entry* entry, std::vector<char>& buffer, Entry** found) {
    return getpwnam_r(name, entry, buffer.data(), buffer.size(), found);
  }
  static uint32_t id(const Entry& entry) { return entry.pw_uid; }
};

struct GroupLookup {
  static constexpr char kKind[] = "group";
  using Entry = group;
  static int find(const char* name, Entry* entry, std::vector<char>& buffer, Entry** found) {
    return getgrnam_r(name, entry, buffer.data(), buffer.size(), found);
  }
  static uint32_t id(const Entry& entry) { return entry.gr_gid; }
};

template <typename Lookup>
std::optional<uint32_t> read_id(const ConfigNode& node) {
  const std::string expected =
      std::string("the name of a ") + Lookup::kKind + " of this host, or a number without quotes";
  if (!node.is_text()) {
    const auto number = node.integer(0, kMaxId);
    return number ? std::optional(static_cast<uint32_t>(*number)) : std::nullopt;
  }
  const std::string name = node.text(expected).value_or("");
  typename Lookup::Entry entry{};
  typename Lookup::Entry* found = nullptr;
  int error = 0;
  // A lookup would stop at a NUL within the name and find a shorter name.
  if (name.find('\0') == std::string::npos) {
    std::vector<char> buffer(4096);
    while ((error = Lookup::find(name.c_str(), &entry, buffer, &found)) == ERANGE &&
           buffer.size() < (4u << 20))
      buffer.resize(2 * buffer.size());
  }
  if (found != nullptr) return Lookup::id(*found);
  // Several values of errno only mean "not found" (getpwnam_r(3)).
  const bool unknown = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  node.error((unknown ? std::string("there is no ") + Lookup::kKind + " " + in_quotes(name)
                      : std::string(Lookup::kKind) + " " + in_quotes(name) +
                            " cannot be looked up: " + std::strerror(error)) +
             ", expected " + expected);
  return std::nullopt;
}

std::optional<uint32_t> read_mode(const ConfigNode& node) {
  const auto text = node.text(kModeForm);
  if (!text) return std::nullopt;
  const bool octal = text->size() == 4 && text->front() == '0' &&
                     std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '7'; });
  const auto mode = octal ? static_cast<uint32_t>(std::stoul(*text, nullptr, 8)) : 0;
  if (mode == 0) {
    node.error("is " + in_quotes(*text) + ", expected " + kModeForm);
    return std::nullopt;
  }
  return mode;
}

void read_access(const ConfigNode& api, std::string_view key, SocketAccess& access, uint32_t& line) {
  const auto table = api.find(key);
  if (!table) return;
  line = table->line();
  if (!table->expect_table("a table such as { owner = \"root\", group = \"teal\", mode = \"0660\" }")) return;
  table->allow_only({"owner", "group", "mode"});
  if (const auto node = table->find("owner")) access.owner = read_id<UserLookup>(*node);
  if (const auto node = table->find("group")) access.group = read_id<GroupLookup>(*node);
  if (const auto node = table->find("mode")) access.mode = read_mode(*node).value_or(access.mode);
}

}  // namespace

ApiConfig read_api(const ConfigNode& root, ApiLines& lines) {
  ApiConfig api;
  const auto table = root.find("api");
  if (!table || !table->expect_table("a table [api]")) return api;
  table->allow_only({"control", "status", "listen"});
  read_access(*table, "control", api.control, lines.control);
  read_access(*table, "status", api.status, lines.status);
  // The listener cannot collide with a VIP: read_socket() refuses loopback addresses.
  if (const auto node = table->find("listen")) {
    lines.listen = node->line();
    api.listen = read_loopback_socket(*node);
  }
  if (api.listen) api.listen->protocol = kProtocolTcp;
  return api;
}

}  // namespace teal
