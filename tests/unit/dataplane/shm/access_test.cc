// SPDX-License-Identifier: Apache-2.0
//
// Owner and group may open the files of a run directory, under any umask: with systemd, teal-dataplane and
// teald are two users of one group (scripts/systemd). Tests that need a second user are skipped without root.
#include <fstream>
#include <functional>

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/shm/process_lock.h"
#include "segment_fixture.h"

namespace teal {
namespace {

constexpr uid_t kOneUser = 59991, kOtherUser = 59990;
constexpr gid_t kSharedGroup = 59991, kOtherGroup = 59990;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 ? status.st_mode & 07777u : 0;
}

class Umask {
 public:
  explicit Umask(mode_t mask) : before_(umask(mask)) {}
  ~Umask() { umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  const mode_t before_;
};

// Returns true if `attempt` succeeds as a user without capabilities.
bool as_user(uid_t user, gid_t group, std::vector<gid_t> more_groups, const std::function<bool()>& attempt) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgroups(more_groups.size(), more_groups.data()) != 0 || setgid(group) != 0 || setuid(user) != 0)
      _exit(2);
    umask(0077);
    _exit(attempt() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class AccessTest : public SegmentTest {
 protected:
  void share() {
    ASSERT_EQ(chown(dir_.path().c_str(), 0, kSharedGroup), 0);
    ASSERT_EQ(chmod(dir_.path().c_str(), 03775), 0);  // as in scripts/systemd/tmpfiles.conf
  }
  bool make_as_one_user() {
    return as_user(kOneUser, kSharedGroup, {}, [this] {
      return ProcessLock::acquire(dir_ / "dataplane.lock").has_value() && open().has_value();
    });
  }
};

TEST_F(AccessTest, SegmentAndLockHaveMode0660UnderAnyUmask) {
  for (const mode_t mask : {0077, 0000}) {
    const TemporaryRunDir dir;
    const Umask umask(mask);
    options_.run_dir = dir.path();
    ASSERT_TRUE(open());
    ASSERT_TRUE(ProcessLock::acquire(dir / "dataplane.lock"));
    EXPECT_EQ(mode_of(dir / "segment.tmpfs"), 0660u);
    EXPECT_EQ(mode_of(dir / "dataplane.lock"), 0660u);
  }
}

TEST_F(AccessTest, AnotherUserOfTheGroupWritesTheSegmentAndTakesTheLock) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  share();
  ASSERT_TRUE(make_as_one_user());
  EXPECT_TRUE(as_user(kOtherUser, kOtherGroup, {kSharedGroup}, [this] {
    const auto attached = Segment::attach(dir_.path());
    if (!attached) return false;
    attached->header().acknowledged = 7;
    return ProcessLock::acquire(dir_ / "dataplane.lock").has_value();
  }));
  const auto opened = open();
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->segment.header().acknowledged, 7u);
}

TEST_F(AccessTest, FilesOfRootInASharedDirectoryBelongToTheGroup) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  share();
  {
    const Umask umask(0077);
    make();
    ASSERT_TRUE(ProcessLock::acquire(dir_ / "dataplane.lock"));
  }
  EXPECT_TRUE(make_as_one_user());
}

// An operator in the group of the API sockets only is an example.
TEST_F(AccessTest, UserOutsideTheGroupCanNeitherOpenTheSegmentNorTakeTheLock) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to be two users";
  share();
  ASSERT_TRUE(make_as_one_user());
  EXPECT_FALSE(as_user(kOtherUser, kOtherGroup, {}, [this] {
    const auto attached = Segment::attach(dir_.path());
    // The error names the user and the owner, so that an operator can correct the rights.
    return attached.has_value() ||
           !contains(attached.error(), "as uid 59990 (it belongs to uid 59991 and gid 59991");
  }));
  EXPECT_FALSE(as_user(kOtherUser, kOtherGroup, {},
                       [this] { return access((dir_ / "dataplane.lock").c_str(), R_OK) == 0; }));
}

TEST_F(AccessTest, LinkInPlaceOfTheLockIsNotFollowed) {
  const std::string precious = dir_ / "precious";
  std::ofstream(precious) << "precious";
  fs::create_symlink(precious, dir_ / "dataplane.lock");
  EXPECT_FALSE(ProcessLock::acquire(dir_ / "dataplane.lock"));
  std::string content;
  std::ifstream(precious) >> content;
  EXPECT_EQ(content, "precious");
}

// teald may write to the run directory. A symlink made by teald must not make the dataplane open or rename
// other files.
TEST_F(AccessTest, LinkToAnUnrelatedFileIsReplaced) {
  const TemporaryRunDir elsewhere;
  const std::string precious = elsewhere / "precious";
  std::ofstream(precious) << "precious";
  fs::create_symlink(precious, dir_ / "segment");
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error();
  EXPECT_EQ(opened->path, file_);
  EXPECT_TRUE(fs::equivalent(dir_ / "segment", file_));
  EXPECT_EQ(fs::file_size(precious), 8u);
}

TEST_F(AccessTest, LinkInPlaceOfTheSegmentIsNotFollowed) {
  const TemporaryRunDir elsewhere;
  const std::string precious = elsewhere / "precious";
  std::ofstream(precious) << "precious";
  for (const std::string& link : {dir_ / "segment", file_}) fs::create_symlink(precious, link);
  EXPECT_FALSE(open());
  EXPECT_EQ(fs::file_size(precious), 8u);
}

}  // namespace
}  // namespace teal
