// SPDX-License-Identifier: Apache-2.0
//
// The whole config file: the part that teald reads and the part that teal-dataplane reads, all or nothing.
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

// Returns the errors of both readers. An error that both readers report appears once.
tl::expected<ConfigFile, ConfigErrors> read_config_file(const std::string& path);

// Remembers the content of a file and tells whether the content has changed since.
class FileStamp {
 public:
  static FileStamp of(const std::string& path);
  // Reads the file only if inode, size or modification time have changed since the last call.
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
