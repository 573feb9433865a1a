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

FileStamp FileStamp::of(const std::string& path) {
  FileStamp stamp;
  stamp.path_ = path;
  stamp.look_ = look(path);
  stamp.hash_ = content_hash(path);
  return stamp;
}

bool FileStamp::differs() {
  const Look now = look(path_);
  if (now == look_) return differs_;
  look_ = now;
  return differs_ = content_hash(path_) != hash_;
}

FileStamp::Look FileStamp::look(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

size_t FileStamp::content_hash(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::hash<std::string>()(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace teal
