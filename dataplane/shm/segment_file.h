// SPDX-License-Identifier: Apache-2.0
//
// A file of the shared segment: its path, the reservation of its memory, its lock, and setting it aside. FILE
// is "segment" (segment.h) or "flows" (flows.h).
//
//   RUN_DIR/FILE               a symlink to the file, renamed into place once the file is finished
//   /dev/hugepages/NAME/FILE   the file, if a hugetlbfs is mounted there and has enough free pages. NAME is
//                              the last part of RUN_DIR
//   RUN_DIR/FILE.tmpfs         the file otherwise
//   PATH.new                   a file that is being made. The next start removes what a killed one left
//   PATH.aside                 the file that was set aside last
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <tl/expected.hpp>

namespace teal {

struct SegmentPaths {
  std::string link;
  std::string huge;  // "" where no hugetlbfs is mounted
  std::string tmpfs;

  static SegmentPaths of(const std::string& run_dir, const std::string& name);
};

// A file that is mapped whole and shared, for reading and writing.
class SegmentFile {
 public:
  SegmentFile() = default;  // no file

  // Opens and maps an existing file. A symlink is followed only if the caller expects one. Other users may be
  // able to write to RUN_DIR; with a symlink they could make a privileged process open another file.
  static tl::expected<SegmentFile, std::string> open(const std::string& path, bool follow_link = false);

  // Creates a file (0660) of at least `bytes` zeroes, and its directory if it is missing. With `reserve`, a
  // full file system gives an error here and not a SIGBUS later. A failed creation leaves no file.
  static tl::expected<SegmentFile, std::string> create(const std::string& path, uint64_t bytes,
                                                       bool reserve = true);

  SegmentFile(SegmentFile&& other) noexcept;
  SegmentFile& operator=(SegmentFile&& other) noexcept;
  ~SegmentFile();

  void* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

  // Locks the file (flock) until this object is destroyed. Returns false if another process has the lock.
  [[nodiscard]] bool lock() const;
  // Returns true if `path` leads to this file.
  bool is_at(const std::string& path) const;

 private:
  explicit SegmentFile(int fd) : fd_(fd) {}
  tl::expected<void, std::string> map(const std::string& path);
  // Gives a new file its size.
  tl::expected<void, std::string> extend(const std::string& path, uint64_t bytes, bool reserve);
  tl::expected<void, std::string> allocate(const std::string& path, bool huge);

  int fd_ = -1;
  void* base_ = nullptr;
  uint64_t bytes_ = 0;
};

// Returns false if the directory is on a file system that outlives a reboot.
bool is_in_memory(const std::string& directory);

std::string new_path(const std::string& path);
std::string aside_path(const std::string& path);

// Renames `path` to aside_path(path), over an older file.
tl::expected<void, std::string> set_aside(const std::string& path);

// Makes `link` a symlink to `path`, atomically: a process that opens `link` gets the old file or the new one.
tl::expected<void, std::string> place_link(const std::string& link, const std::string& path);

}  // namespace teal
