// SPDX-License-Identifier: Apache-2.0
//
// The config file as a whole: what teald reads of it and what teal-dataplane does, all or nothing.
#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "control/config/config.h"
#include "dataplane/config/options.h"

namespace teal {

struct ConfigFile {
  Config config;
  DataplaneOptions options;
};

// The errors of both readers; one that both told is told once.
tl::expected<ConfigFile, ConfigErrors> read_config_file(const std::string& path);

// Tells whether a file is still what it was.
class FileStamp {
 public:
  static FileStamp of(const std::string& path);
  // Cheap as long as nobody touches the file: only then is it read.
  bool differs();

 private:
  struct Look {
    uint64_t inode = 0;
    int64_t bytes = 0;
    int64_t changed_s = 0, changed_ns = 0;
    friend bool operator==(const Look&, const Look&) = default;
  };
  static Look look(const std::string& path);
  static size_t content_hash(const std::string& path);

  std::string path_;
  Look look_;
  size_t hash_ = 0;
  bool differs_ = false;
};

}  // namespace teal
