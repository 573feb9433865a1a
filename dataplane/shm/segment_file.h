// SPDX-License-Identifier: Apache-2.0
//
// The file behind the shared segment: where it lies, how its memory is reserved, how it is locked and set
// aside. What is in it is segment.h's business.
//
// clang-format off
//   RUN_DIR/segment               symlink to the file, placed by rename once the file is finished
//   /dev/hugepages/NAME/segment   the file, where hugetlbfs is mounted there and has the pages; NAME is the
//                                 last part of RUN_DIR
//   RUN_DIR/segment.tmpfs         the file otherwise
//   FILE.aside                    the last one that was set aside
// clang-format on
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

  static SegmentPaths of(const std::string& run_dir);
};

// A whole file, mapped shared for reading and writing.
class SegmentFile {
 public:
  SegmentFile() = default;  // no file

  // A link is followed only where one is expected: others may write RUN_DIR, and with the rights of whoever
  // opens a segment no other file shall be opened.
  static tl::expected<SegmentFile, std::string> open(const std::string& path, bool follow_link = false);

  // A new file (0660) of at least `bytes` zeroes, whose memory is reserved: a file system without the room
  // gives an error here, not a SIGBUS later. Makes the file's directory where needed. Nothing is left of a
  // failed creation.
  static tl::expected<SegmentFile, std::string> create(const std::string& path, uint64_t bytes);

  SegmentFile(SegmentFile&& other) noexcept;
  SegmentFile& operator=(SegmentFile&& other) noexcept;
  ~SegmentFile();

  void* base() const { return base_; }
  uint64_t bytes() const { return bytes_; }

  // Takes the file for this object until its end (flock); false if another has it.
  [[nodiscard]] bool lock() const;
  // Does `path` lead to this file?
  bool is_at(const std::string& path) const;

 private:
  explicit SegmentFile(int fd) : fd_(fd) {}
  tl::expected<void, std::string> map(const std::string& path);
  tl::expected<void, std::string> reserve(const std::string& path, uint64_t bytes);

  int fd_ = -1;
  void* base_ = nullptr;
  uint64_t bytes_ = 0;
};

std::string aside_path(const std::string& path);

// Renames `path` to its aside_path(), over an older one.
tl::expected<void, std::string> set_aside(const std::string& path);

// Makes `link` a symlink to `path`, in one step: whoever opens `link` meets the old file or the new one.
tl::expected<void, std::string> place_link(const std::string& link, const std::string& path);

}  // namespace teal
