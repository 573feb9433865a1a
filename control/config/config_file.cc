// SPDX-License-Identifier: Apache-2.0
#include "control/config/config_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <sys/stat.h>

namespace teal {

tl::expected<ConfigFile, ConfigErrors> read_config_file(const std::string& path) {
  tl::expected<Config, ConfigErrors> config = read_config(path);
  auto options = read_options(path);
  if (config && options) return ConfigFile{std::move(*config), std::move(*options)};
  ConfigErrors errors = options ? ConfigErrors() : options.error();
  if (!config) {
    std::copy_if(config.error().begin(), config.error().end(), std::back_inserter(errors),
                 [&](const std::string& line) {
                   return options || std::find(options.error().begin(), options.error().end(), line) ==
                                         options.error().end();
                 });
  }
  return tl::unexpected(std::move(errors));
}

bool is_unreadable(const std::string& path, const ConfigErrors& errors) {
  return errors.size() == 1 && errors.front().starts_with(path + ": cannot be read: ");
}

bool FileWatch::differs_from(const std::string& text) {
  if (const Look now = look(); now != seen_) {
    seen_ = now;
    std::ifstream file(path_, std::ios::binary);
    hash_ = std::hash<std::string>()(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return hash_ != std::hash<std::string>()(text);
}

FileWatch::Look FileWatch::look() const {
  struct stat found {};
  if (::stat(path_.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

}  // namespace teal
