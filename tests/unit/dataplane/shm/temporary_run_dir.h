// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace teal {

// A new run directory, on a tmpfs if there is one. The destructor removes it, and its files on hugetlbfs.
class TemporaryRunDir {
 public:
  TemporaryRunDir() {
    std::string pattern =
        (std::filesystem::is_directory("/dev/shm") ? std::filesystem::path("/dev/shm")
                                                   : std::filesystem::temp_directory_path()) /
        "teal-test-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) abort();
    path_ = pattern;
  }
  ~TemporaryRunDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    std::filesystem::remove_all(huge_directory(), ignored);
  }
  TemporaryRunDir(const TemporaryRunDir&) = delete;
  TemporaryRunDir& operator=(const TemporaryRunDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::string huge_directory() const {
    return "/dev/hugepages/" + std::filesystem::path(path_).filename().string();
  }

 private:
  std::string path_;
};

}  // namespace teal
