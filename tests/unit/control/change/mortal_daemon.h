// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <string>

#include <gtest/gtest.h>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {

// Runs a teald in a process, which is killed from outside, or at an event kills itself or changes its disk.
class MortalDaemon {
 public:
  static constexpr int kArmed = 0;
  static constexpr const char* kArmedWord = "armed";

  // `word` is "dies", or what the disk does from the event on. The event is the `nth`, or with kArmed the
  // first one while the disk's word is kArmedWord.
  explicit MortalDaemon(const DaemonHome& home, const std::string& event = "never", int nth = 1,
                        const std::string& word = "dies") {
    std::string words[] = {TEAL_MORTAL_TEALD,
                           home.dir().file("teal.toml"),
                           home.run_dir(),
                           home.dir().file("state"),
                           event,
                           std::to_string(nth),
                           home.dir().file("disk"),
                           word};
    char* argv[std::size(words) + 1] = {};
    for (size_t i = 0; i < std::size(words); ++i) argv[i] = words[i].data();
    over_ = posix_spawn(&pid_, argv[0], nullptr, nullptr, argv, environ) != 0;  // then no pid is set
    EXPECT_FALSE(over_) << TEAL_MORTAL_TEALD;
    EXPECT_TRUE(FakeDataplane::wait_for([&] { return home.get("/v1/version").status == 200 || is_over(); }));
  }
  ~MortalDaemon() { kill_now(); }
  MortalDaemon(const MortalDaemon&) = delete;
  MortalDaemon& operator=(const MortalDaemon&) = delete;

  void kill_now() {
    if (is_over()) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
    over_ = true;
  }
  // Returns whether it ends within the next seconds.
  bool dies() {
    return FakeDataplane::wait_for([&] { return is_over(); });
  }
  bool was_killed() const { return over_ && WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL; }
  bool is_over() {
    if (!over_) over_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    return over_;
  }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
  bool over_ = false;
};

}  // namespace teal
