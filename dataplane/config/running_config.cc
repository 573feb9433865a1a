// SPDX-License-Identifier: Apache-2.0
#include "dataplane/config/running_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace teal {

namespace {

constexpr mode_t kCopyMode = 0640;

std::string copy_path(const std::string& run_dir) {
  return run_dir + "/dataplane.toml";
}

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
    if (written < 0) return false;
    done += static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

tl::expected<void, std::string> save_running_config(const std::string& run_dir, const std::string& text) {
  const std::string path = copy_path(run_dir), next = path + ".new";
  const auto failed = [&](const std::string& which) {
    return tl::unexpected(which + ": cannot be written: " + std::strerror(errno));
  };
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kCopyMode);
  if (fd < 0) return failed(next);
  const bool written = ::fchmod(fd, kCopyMode) == 0 && write_all(fd, text);
  if (!written) {
    ::close(fd);
    return failed(next);
  }
  ::close(fd);
  if (::rename(next.c_str(), path.c_str()) != 0) return failed(path);
  return {};
}

std::optional<DataplaneOptions> read_running_config(const std::string& run_dir) {
  auto options = read_options(copy_path(run_dir));
  if (!options) return std::nullopt;
  return std::move(*options);
}

}  // namespace teal
