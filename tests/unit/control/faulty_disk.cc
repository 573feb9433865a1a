// SPDX-License-Identifier: Apache-2.0
//
// A VFS of SQLite (https://www.sqlite.org/vfs.html) over the default one. A file is the file of the real VFS
// behind another table of methods.
#include "tests/unit/control/faulty_disk.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string_view>
#include <thread>

#include <sqlite3.h>

namespace teal {

namespace {

std::mutex control_mutex;
std::string control_path;

std::string word() {
  std::unique_lock<std::mutex> guard(control_mutex);
  std::ifstream file(control_path);
  guard.unlock();
  std::string text;
  file >> text;
  return text;
}

// Returns SQLITE_OK if a write may go on. It waits while the disk hangs.
int before_write() {
  while (word() == "hangs") std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::string now = word();
  return now == "full" ? SQLITE_FULL : now == "fails" ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

struct DiskFile {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_file* real(sqlite3_file* file) {
  return reinterpret_cast<DiskFile*>(file)->real();
}

// Forwards a method to the real file.
template <auto Method, typename... Arguments>
int forward(sqlite3_file* file, Arguments... arguments) {
  return (real(file)->pMethods->*Method)(real(file), arguments...);
}

template <auto Method, typename... Arguments>
int forward_write(sqlite3_file* file, Arguments... arguments) {
  if (const int refused = before_write(); refused != SQLITE_OK) return refused;
  return forward<Method>(file, arguments...);
}

// A new part of the file needs room.
int map_shared_memory(sqlite3_file* file, int region, int bytes, int extend, void volatile** address) {
  const int refused = extend != 0 ? before_write() : SQLITE_OK;
  return refused == SQLITE_OK ? forward<&sqlite3_io_methods::xShmMap>(file, region, bytes, extend, address)
                              : refused;
}

void shm_barrier(sqlite3_file* file) {
  real(file)->pMethods->xShmBarrier(real(file));
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = forward<&sqlite3_io_methods::xClose>,
    .xRead = forward<&sqlite3_io_methods::xRead, void*, int, sqlite3_int64>,
    .xWrite = forward_write<&sqlite3_io_methods::xWrite, const void*, int, sqlite3_int64>,
    .xTruncate = forward_write<&sqlite3_io_methods::xTruncate, sqlite3_int64>,
    .xSync = forward_write<&sqlite3_io_methods::xSync, int>,
    .xFileSize = forward<&sqlite3_io_methods::xFileSize, sqlite3_int64*>,
    .xLock = forward<&sqlite3_io_methods::xLock, int>,
    .xUnlock = forward<&sqlite3_io_methods::xUnlock, int>,
    .xCheckReservedLock = forward<&sqlite3_io_methods::xCheckReservedLock, int*>,
    .xFileControl = forward<&sqlite3_io_methods::xFileControl, int, void*>,
    .xSectorSize = forward<&sqlite3_io_methods::xSectorSize>,
    .xDeviceCharacteristics = forward<&sqlite3_io_methods::xDeviceCharacteristics>,
    .xShmMap = map_shared_memory,
    .xShmLock = forward<&sqlite3_io_methods::xShmLock, int, int, int>,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = forward<&sqlite3_io_methods::xShmUnmap, int>,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

sqlite3_vfs* real_vfs = nullptr;

// The run directory of the tests is a tmpfs in production.
bool is_in_memory(const char* name) {
  return name != nullptr && std::string_view(name).find("/run/") != std::string_view::npos;
}

// A full disk still opens files.
int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  if (is_in_memory(name)) return real_vfs->xOpen(real_vfs, name, file, flags, out_flags);
  (void)before_write();
  const int result = real_vfs->xOpen(real_vfs, name, real(file), flags, out_flags);
  file->pMethods = real(file)->pMethods == nullptr ? nullptr : &kMethods;
  return result;
}

sqlite3_vfs* faulty_vfs() {
  static sqlite3_vfs vfs = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    sqlite3_vfs copy = *real_vfs;
    copy.zName = "faulty";
    copy.szOsFile += static_cast<int>(sizeof(DiskFile));
    copy.xOpen = open_file;
    return copy;
  }();
  return &vfs;
}

}  // namespace

FaultyDisk::FaultyDisk() {
  sqlite3_vfs_register(faulty_vfs(), 1);
}

void FaultyDisk::use(const std::string& control_file) {
  const std::lock_guard<std::mutex> guard(control_mutex);
  control_path = control_file;
}

// The word changes at once, never to an empty file.
void FaultyDisk::set(const std::string& control_file, const std::string& word) {
  std::ofstream(control_file + ".new") << word;
  std::filesystem::rename(control_file + ".new", control_file);
}

}  // namespace teal
