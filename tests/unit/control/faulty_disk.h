// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace teal {

// A disk for SQLite that can be full, fail or hang. From its construction on, it is under every database that
// this process opens, except the copy in the run directory, which is in memory. Its behaviour is the word in
// a control file, so that another process can change it:
//   works   as the real disk (the default, also without a file)
//   full    each write fails with SQLITE_FULL
//   fails   each write fails with SQLITE_IOERR
//   hangs   each write waits until the word is another one
class FaultyDisk {
 public:
  FaultyDisk();

  static void use(const std::string& control_file);
  static void set(const std::string& control_file, const std::string& word);
};

}  // namespace teal
