// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/process_lock.h"

#include <fstream>
#include <optional>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "temporary_run_dir.h"

namespace teal {
namespace {

// A child process that holds the lock until it is killed.
class Holder {
 public:
  explicit Holder(const std::string& path) {
    int ready[2];
    if (pipe(ready) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      const auto lock = ProcessLock::acquire(path);
      const char answer = lock ? 'y' : 'n';
      if (write(ready[1], &answer, 1) != 1) _exit(1);
      for (;;) pause();
    }
    close(ready[1]);
    char answer = 'n';
    holds_ = read(ready[0], &answer, 1) == 1 && answer == 'y';
    close(ready[0]);
  }
  ~Holder() { kill_it(); }
  void kill_it() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  bool holds() const { return holds_; }

 private:
  pid_t pid_ = 0;
  bool holds_ = false;
};

TEST(ProcessLock, SecondProcessIsRefusedWithTheHoldersPid) {
  const TemporaryRunDir dir;
  const std::string path = dir / "dataplane.lock";
  const Holder holder(path);
  ASSERT_TRUE(holder.holds());
  const auto refused = ProcessLock::acquire(path);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("pid " + std::to_string(holder.pid()) + ","), std::string::npos)
      << refused.error();
  EXPECT_NE(refused.error().find(path), std::string::npos) << refused.error();
}

TEST(ProcessLock, KillOfTheHolderReleasesTheLock) {
  const TemporaryRunDir dir;
  const std::string path = dir / "dataplane.lock";
  EXPECT_FALSE(ProcessLock::is_held(path));  // no such file
  EXPECT_EQ(ProcessLock::pid_of_holder(path), 0u);
  Holder holder(path);
  ASSERT_TRUE(holder.holds());
  EXPECT_TRUE(ProcessLock::is_held(path));
  EXPECT_EQ(ProcessLock::pid_of_holder(path), static_cast<uint32_t>(holder.pid()));
  holder.kill_it();
  EXPECT_FALSE(ProcessLock::is_held(path));
  EXPECT_EQ(ProcessLock::pid_of_holder(path), 0u) << "its pid is still in the file";
  EXPECT_TRUE(ProcessLock::acquire(path));
}

TEST(ProcessLock, FileHoldsOnlyThePid) {
  const TemporaryRunDir dir;
  const std::string path = dir / "daemon.lock";
  std::ofstream(path) << "99999999999 of an earlier life";
  const auto lock = ProcessLock::acquire(path);
  ASSERT_TRUE(lock) << lock.error();
  std::ifstream file(path);
  std::string content((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(content, std::to_string(getpid()) + "\n");
}

TEST(ProcessLock, LockMovesWithItsObjectAndEndsWithIt) {
  const TemporaryRunDir dir;
  const std::string path = dir / "daemon.lock";
  auto lock = ProcessLock::acquire(path);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(ProcessLock::is_held(path));  // also if this process is the holder
  {
    const ProcessLock moved = std::move(*lock);
    EXPECT_TRUE(ProcessLock::is_held(path));
  }
  EXPECT_FALSE(ProcessLock::is_held(path));
}

TEST(ProcessLock, IsHeldDoesNotTakeTheLock) {
  const TemporaryRunDir dir;
  const std::string path = dir / "daemon.lock";
  std::ofstream(path) << "";
  EXPECT_FALSE(ProcessLock::is_held(path));
  EXPECT_TRUE(Holder(path).holds());
}

TEST(ProcessLock, ErrorNamesAMissingDirectory) {
  const auto lock = ProcessLock::acquire("/nonexistent-teal/daemon.lock");
  ASSERT_FALSE(lock);
  EXPECT_NE(lock.error().find("/nonexistent-teal/daemon.lock: cannot open"), std::string::npos)
      << lock.error();
}

}  // namespace
}  // namespace teal
