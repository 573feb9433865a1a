// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/segment_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace teal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHugeMount = "/dev/hugepages";
// teal-dataplane and teald may be different users of one group. The file gets the group of its directory
// (setgid).
constexpr mode_t kSegmentFileMode = 0660;

tl::unexpected<std::string> failed(const std::string& path, const std::string& what, int error) {
  return tl::make_unexpected(path + ": " + what + ": " + std::strerror(error));
}

// The error names owner and mode of a file that belongs to another user: for example to root, from a
// dataplane that was started by hand.
tl::unexpected<std::string> cannot_open(const std::string& path) {
  const int error = errno;
  std::string what = "cannot open";
  struct stat status;
  if (error == EACCES && stat(path.c_str(), &status) == 0) {
    char text[96];
    snprintf(text, sizeof(text), " as uid %u (it belongs to uid %u and gid %u, mode %04o)", geteuid(),
             status.st_uid, status.st_gid, status.st_mode & 07777u);
    what += text;
  }
  return failed(path, what, error);
}

std::string mebibytes(uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

}  // namespace

SegmentPaths SegmentPaths::of(const std::string& run_dir, const std::string& name) {
  fs::path dir = fs::absolute(run_dir).lexically_normal();
  if (!dir.has_filename()) dir = dir.parent_path();  // "/run/teal/"
  SegmentPaths paths{.link = dir / name, .huge = "", .tmpfs = dir / (name + ".tmpfs")};
  struct statfs file_system;
  if (statfs(kHugeMount, &file_system) == 0 && file_system.f_type == HUGETLBFS_MAGIC)
    paths.huge = fs::path(kHugeMount) / dir.filename() / name;
  return paths;
}

SegmentFile::SegmentFile(SegmentFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      base_(std::exchange(other.base_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

SegmentFile& SegmentFile::operator=(SegmentFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SegmentFile::~SegmentFile() {
  if (base_ != nullptr) munmap(base_, bytes_);
  if (fd_ >= 0) close(fd_);
}

tl::expected<void, std::string> SegmentFile::map(const std::string& path) {
  void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (base == MAP_FAILED) return failed(path, "cannot map " + mebibytes(bytes_), errno);
  base_ = base;
  return {};
}

tl::expected<SegmentFile, std::string> SegmentFile::open(const std::string& path, bool follow_link) {
  SegmentFile file(::open(path.c_str(), O_RDWR | O_CLOEXEC | (follow_link ? 0 : O_NOFOLLOW)));
  if (file.fd_ < 0) return cannot_open(path);
  struct stat status;
  if (fstat(file.fd_, &status) != 0) return failed(path, "cannot stat", errno);
  if (!S_ISREG(status.st_mode)) return tl::make_unexpected(path + ": not a regular file");
  file.bytes_ = static_cast<uint64_t>(status.st_size);
  if (file.bytes_ == 0) return file;  // nothing can be mapped; the caller refuses it as too short
  if (auto mapped = file.map(path); !mapped) return tl::make_unexpected(mapped.error());
  return file;
}

tl::expected<SegmentFile, std::string> SegmentFile::create(const std::string& path, uint64_t bytes,
                                                           bool reserve) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return failed(path, "cannot create its directory", error.value());
  SegmentFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kSegmentFileMode));
  if (file.fd_ < 0) return failed(path, "cannot create", errno);
  // fchmod sets the mode regardless of the umask.
  auto extended = fchmod(file.fd_, kSegmentFileMode) == 0 ? file.extend(path, bytes, reserve)
                                                          : failed(path, "cannot set its mode", errno);
  if (!extended) {
    unlink(path.c_str());
    return tl::make_unexpected(extended.error());
  }
  return file;
}

tl::expected<void, std::string> SegmentFile::extend(const std::string& path, uint64_t bytes, bool reserve) {
  struct statfs file_system;
  if (fstatfs(fd_, &file_system) != 0) return failed(path, "cannot stat its file system", errno);
  const bool huge = file_system.f_type == HUGETLBFS_MAGIC;
  const uint64_t page = huge ? static_cast<uint64_t>(file_system.f_bsize) : 4096;
  bytes_ = (bytes + page - 1) / page * page;
  if (!huge && ftruncate(fd_, static_cast<off_t>(bytes_)) != 0)
    return failed(path, "cannot set the size " + mebibytes(bytes_), errno);
  // Fails at once if too few huge pages are free.
  if (auto mapped = map(path); !mapped) return mapped;
  return reserve ? allocate(path, huge) : tl::expected<void, std::string>();
}

// Allocates every page. ftruncate and mmap alone can succeed although the memory is missing, or more than a
// limit of the control group.
tl::expected<void, std::string> SegmentFile::allocate(const std::string& path, bool huge) {
  const auto length = static_cast<off_t>(bytes_);
  if (huge) {
    if (fallocate(fd_, 0, 0, length) != 0)
      return failed(path, "cannot reserve " + mebibytes(bytes_) + " of huge pages", errno);
    // Fills the page tables; otherwise the first accesses of the workers would. A failure is harmless.
    madvise(base_, bytes_, MADV_POPULATE_WRITE);
    return {};
  }
  madvise(base_, bytes_, MADV_HUGEPAGE);  // takes effect on a tmpfs mounted with huge=advise; else harmless
  if (madvise(base_, bytes_, MADV_POPULATE_WRITE) == 0) return {};
  // fallocate is for Linux before 5.14, which has no MADV_POPULATE_WRITE. It also gives the reason of a
  // failure, where madvise only says EFAULT.
  if (fallocate(fd_, 0, 0, length) != 0) return failed(path, "cannot reserve " + mebibytes(bytes_), errno);
  return {};
}

bool SegmentFile::lock() const {
  return flock(fd_, LOCK_EX | LOCK_NB) == 0;
}

bool SegmentFile::is_at(const std::string& path) const {
  // The kernel does not reuse the inode number while this object holds the file.
  struct stat here, there;
  return fstat(fd_, &here) == 0 && stat(path.c_str(), &there) == 0 && here.st_ino == there.st_ino &&
         here.st_dev == there.st_dev;
}

std::string new_path(const std::string& path) {
  return path + ".new";
}

std::string aside_path(const std::string& path) {
  return path + ".aside";
}

tl::expected<void, std::string> set_aside(const std::string& path) {
  if (rename(path.c_str(), aside_path(path).c_str()) != 0)
    return failed(path, "cannot rename to " + aside_path(path), errno);
  return {};
}

bool is_in_memory(const std::string& directory) {
  struct statfs system {};
  if (statfs(directory.c_str(), &system) != 0) return true;  // other errors tell of that
  return system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC;
}

tl::expected<void, std::string> place_link(const std::string& link, const std::string& path) {
  const std::string temporary = link + ".new";
  unlink(temporary.c_str());  // a killed process may have left it
  if (symlink(path.c_str(), temporary.c_str()) != 0)
    return failed(temporary, "cannot link to " + path, errno);
  if (rename(temporary.c_str(), link.c_str()) != 0)
    return failed(temporary, "cannot rename to " + link, errno);
  return {};
}

}  // namespace teal
