// SPDX-License-Identifier: Apache-2.0
#include "control/cli/invocation/unreachable.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

namespace teal::cli {
namespace {

std::string user_name(uid_t uid) {
  const passwd* const entry = getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}

std::string group_name(gid_t gid) {
  const group* const entry = getgrgid(gid);
  return entry != nullptr ? entry->gr_name : std::to_string(gid);
}

void describe_denied(const std::string& socket, Failure& failure, std::string& what) {
  const std::string me = user_name(geteuid());
  struct stat seen {};
  if (stat(socket.c_str(), &seen) != 0) {
    what = fmt::format("no permission for its directory; you are {}", me);
    failure.hint = "use sudo teal ..., or change the mode of the directory";
    return;
  }
  const std::string group = group_name(seen.st_gid);
  what = fmt::format("permission denied; its owner is {}:{}, its mode {:04o}, and you are {}",
                     user_name(seen.st_uid), group, seen.st_mode & 07777, me);
  if ((seen.st_mode & S_IWGRP) != 0 && seen.st_gid != 0) {
    failure.hint =
        fmt::format("use sudo teal ..., or join the group: usermod -aG {} {}, then log in again", group, me);
  } else {
    failure.hint =
        "use sudo teal ..., or give a group access in the config: [api] control = { group = \"teal\", mode = "
        "\"0660\" }";
  }
}

}  // namespace

Failure unreachable(const std::string& socket, const boost::system::error_code& error) {
  Failure failure{.exit_code = kUnreachable, .code = "unreachable"};
  std::string what = error.message();
  failure.hint = "check teald: systemctl status teald; for another instance use --socket PATH or TEAL_SOCKET";
  if (error == boost::system::errc::no_such_file_or_directory) {
    const auto directory = std::filesystem::path(socket).parent_path();
    std::error_code ignored;
    what = directory.empty() || std::filesystem::exists(directory, ignored)
               ? "the socket does not exist"
               : fmt::format("the directory {} does not exist", directory.string());
  } else if (error == boost::system::errc::connection_refused) {
    what = "no process listens on it, because teald has ended";
    failure.hint = "check teald: systemctl status teald; journalctl -u teald shows why it ended";
  } else if (error == boost::system::errc::permission_denied) {
    describe_denied(socket, failure, what);
  } else if (error == boost::system::errc::timed_out) {
    what = "no connection in time; teald is suspended or has too many clients";
  }
  failure.message = fmt::format("cannot reach teald on {}: {}", socket, what);
  return failure;
}

std::string readable_sibling(const std::string& socket) {
  const std::filesystem::path path(socket);
  return path.filename() == "control.sock" ? (path.parent_path() / "status.sock").string() : std::string();
}

}  // namespace teal::cli
