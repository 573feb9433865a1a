// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment_place.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

namespace teal {
namespace {

std::string in_use(const std::string& path) {
  return path +
         ": in use by another dataplane, expected none (run directories of one name share a segment on huge "
         "pages)";
}

// A file may be where the link leads, or where one would be made: the link may be missing, because RUN_DIR
// was cleaned or a start was killed. A link to any other file was not made by Teal and is ignored.
std::vector<std::string> candidates(const Place& place, const SegmentPaths& paths) {
  std::vector<std::string> found;
  const auto add = [&](const std::string& path) {
    for (const std::string& known : found)
      if (known == path) return;
    if (access(path.c_str(), F_OK) == 0) found.push_back(path);
  };
  std::error_code no_link;
  for (const std::string& path : {paths.huge, paths.tmpfs})
    if (std::filesystem::equivalent(paths.link, path, no_link)) add(path);
  if (!paths.huge.empty() && place.try_huge_pages) add(paths.huge);
  add(paths.tmpfs);
  return found;
}

tl::expected<SegmentFile, std::string> create(const std::string& path, uint64_t bytes, bool reserve) {
  unlink(path.c_str());  // a killed start may have left it
  return SegmentFile::create(path, bytes, reserve);
}

// Creates PATH.new for one of the paths, and sets `made->path` to PATH.
tl::expected<SegmentFile, std::string> create_at(const Place& place, const SegmentPaths& paths,
                                                 uint64_t bytes, PlacedFile* made) {
  if (place.try_huge_pages && paths.huge.empty()) made->no_huge_pages = "/dev/hugepages is not a hugetlbfs";
  if (place.try_huge_pages && !paths.huge.empty()) {
    made->path = paths.huge;
    auto file = create(new_path(paths.huge), bytes, place.reserve);
    if (!file && unlink(aside_path(paths.huge).c_str()) == 0) {
      made->notice = aside_path(paths.huge) + " was removed, as its huge pages are needed";
      file = create(new_path(paths.huge), bytes, place.reserve);
    }
    if (file) return file;
    made->no_huge_pages = file.error();
  }
  made->path = paths.tmpfs;
  return create(new_path(paths.tmpfs), bytes, place.reserve);
}

tl::expected<void, std::string> link_file(const Place& place, const std::string& name,
                                          const PlacedFile& placed) {
  const std::string link = SegmentPaths::of(place.run_dir, name).link;
  return placed.file.is_at(link) ? tl::expected<void, std::string>() : place_link(link, placed.path);
}

}  // namespace

tl::expected<FoundFile, std::string> find_file(const Place& place, const std::string& name,
                                               const std::function<Fitness(const SegmentFile&)>& fitness_of) {
  FoundFile found;
  for (const std::string& path : candidates(place, SegmentPaths::of(place.run_dir, name))) {
    auto file = SegmentFile::open(path);
    if (!file) return tl::make_unexpected(file.error());
    if (!file->lock() || !file->is_at(path)) return tl::make_unexpected(in_use(path));
    Fitness fitness = fitness_of(*file);
    if (!found.notice.empty()) fitness = {Fitness::Use::kNone, "it is older than the file before"};
    if (fitness.use != Fitness::Use::kNone) {
      found.file = std::move(*file);
      found.path = path;
      found.fitness = std::move(fitness);
      return found;
    }
    if (auto done = set_aside(path); !done) return tl::make_unexpected(done.error());
    found.notice = joined(found.notice, path + " set aside as " + aside_path(path) + ": " + fitness.why);
  }
  return found;
}

tl::expected<PlacedFile, std::string> make_file(
    const Place& place, const std::string& name, uint64_t bytes, const FoundFile& replaced,
    const std::function<tl::expected<void, std::string>(const SegmentFile&)>& fill) {
  PlacedFile made;
  made.created = true;
  auto file = create_at(place, SegmentPaths::of(place.run_dir, name), bytes, &made);
  if (!file) return tl::make_unexpected(file.error());
  if (!file->lock()) return tl::make_unexpected(in_use(made.path));
  if (auto filled = fill(*file); !filled) {
    unlink(new_path(made.path).c_str());
    return tl::make_unexpected(filled.error());
  }
  if (!file->is_at(new_path(made.path))) return tl::make_unexpected(in_use(made.path));
  if (rename(new_path(made.path).c_str(), made.path.c_str()) != 0)
    return tl::make_unexpected(new_path(made.path) + ": cannot rename to " + made.path + ": " +
                               std::strerror(errno));
  made.file = std::move(*file);
  if (auto linked = link_file(place, name, made); !linked) return tl::make_unexpected(linked.error());
  if (replaced.exists() && replaced.path != made.path) unlink(replaced.path.c_str());
  made.notice = joined(replaced.notice, made.notice);
  return made;
}

std::string is_but(const std::string& what, const std::string& is, const std::string& expected) {
  return what + " is " + is + ", expected " + expected;
}

std::string is_but(const std::string& what, uint64_t is, uint64_t expected) {
  return is_but(what, std::to_string(is), std::to_string(expected));
}

std::string joined(const std::string& notice, const std::string& more) {
  return notice + (notice.empty() || more.empty() ? "" : "; ") + more;
}

tl::expected<PlacedFile, std::string> use_file(const Place& place, const std::string& name, FoundFile found) {
  PlacedFile placed;
  placed.file = std::move(found.file);
  placed.path = std::move(found.path);
  if (auto linked = link_file(place, name, placed); !linked) return tl::make_unexpected(linked.error());
  return placed;
}

}  // namespace teal
