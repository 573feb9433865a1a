// SPDX-License-Identifier: Apache-2.0
//
// The whole config file: the part that teald reads and the part that teal-dataplane reads, all or nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

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

// Returns whether the only error is that the file cannot be read.
bool is_unreadable(const std::string& path, const ConfigErrors& errors);

// Tells whether a file has another content than a text. Reads the file only if its inode, size or
// modification time have changed since the last call.
class FileWatch {
 public:
  explicit FileWatch(std::string path) : path_(std::move(path)) {}
  bool differs_from(const std::string& text);

 private:
  struct Look {
    uint64_t inode = 0;
    int64_t bytes = 0;
    int64_t changed_s = 0, changed_ns = 0;
    friend bool operator==(const Look&, const Look&) = default;
  };
  Look look() const;

  std::string path_;
  Look seen_;
  size_t hash_ = std::hash<std::string>()("");  // of the content that was seen
};

}  // namespace teal
