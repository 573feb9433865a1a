// SPDX-License-Identifier: Apache-2.0
//
// A teald that kills itself by SIGKILL at the N-th event of a kind, or changes its disk then. An event is
// told before the next step begins, so each event is a point between two steps of a change.
//
// usage: mortal_teald CONFIG RUN_DIR STATE_DIR EVENT N DISK WORD
//
//   N      0: the first event while DISK says "armed"
//   DISK   the control file of its disk (faulty_disk.h)
//   WORD   for the control file at the event; "dies": teald kills itself
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <unistd.h>

#include <spdlog/spdlog.h>

#include "control/daemon.h"
#include "tests/unit/control/faulty_disk.h"

namespace {

bool is_armed(const std::string& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word == "armed";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) return 2;
  const teal::FaultyDisk disk;
  teal::FaultyDisk::use(argv[6]);
  spdlog::set_level(spdlog::level::off);
  const int nth = std::atoi(argv[5]);
  teal::DaemonOptions options{.config_path = argv[1], .run_dir = argv[2], .state_dir = argv[3]};
  options.disk_limits = {.commit = std::chrono::milliseconds(300), .query = std::chrono::seconds(2)};
  options.on_event = [nth, left = nth, event = std::string(argv[4]), file = std::string(argv[6]),
                      word = std::string(argv[7])](const teal::ToldEvent& told) mutable {
    if (told.type != event || (nth == 0 ? !is_armed(file) : --left != 0)) return;
    if (word == "dies") kill(getpid(), SIGKILL);
    teal::FaultyDisk::set(file, word);
  };
  auto daemon = teal::Daemon::start(std::move(options));
  if (!daemon) {
    for (const std::string& message : daemon.error().messages) fprintf(stderr, "%s\n", message.c_str());
    return daemon.error().code;
  }
  return (*daemon)->run();
}
