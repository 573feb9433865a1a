// SPDX-License-Identifier: Apache-2.0
//
// Where a starting dataplane finds a file of the segment, and how it makes or replaces one. The caller holds
// dataplane.lock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <tl/expected.hpp>

#include "dataplane/shm/segment_file.h"

namespace teal {

struct Place {
  std::string run_dir;
  bool try_huge_pages = true;
  bool reserve = true;  // as of SegmentFile::create
};

struct PlacedFile {
  SegmentFile file;  // locked
  std::string path;
  bool created = false;
  bool has_taken_over = false;  // created with contents of another file
  std::string notice;           // why an existing file was replaced or set aside; "" if none was
  std::string no_huge_pages;    // why a created file is not on huge pages; "" if it is, or none were wanted
};

// A start's judgement of a file that it finds.
struct Fitness {
  enum class Use { kAsItIs, kAsSource, kNone } use;
  std::string why;  // not as it is
};

struct FoundFile {
  SegmentFile file;  // locked; no file if none was found
  std::string path;
  Fitness fitness{Fitness::Use::kNone, ""};
  std::string notice;  // which files were set aside, and why

  bool exists() const { return file.base() != nullptr; }
};

// Returns the file that is to be used or to be replaced. Files of no use are set aside: renamed to
// PATH.aside, over an older one. An error: the file is in use, or cannot be opened.
tl::expected<FoundFile, std::string> find_file(const Place& place, const std::string& name,
                                               const std::function<Fitness(const SegmentFile&)>& fitness_of);

// Makes a file and lets `fill` write its contents. Then the file gets its name and the link leads to it.
// Until then a file of that name stays. On huge pages if enough are free, else on tmpfs. If a file that was
// set aside takes the huge pages, it is removed. So is `replaced`, which find_file() found, at another path.
tl::expected<PlacedFile, std::string> make_file(
    const Place& place, const std::string& name, uint64_t bytes, const FoundFile& replaced,
    const std::function<tl::expected<void, std::string>(const SegmentFile&)>& fill);

// Uses a file as it is. The link leads to it.
tl::expected<PlacedFile, std::string> use_file(const Place& place, const std::string& name, FoundFile found);

// Returns "size is 3, expected 4".
std::string is_but(const std::string& what, const std::string& is, const std::string& expected);
std::string is_but(const std::string& what, uint64_t is, uint64_t expected);

// Joins two notices, of which each may be "".
std::string joined(const std::string& notice, const std::string& more);

}  // namespace teal
