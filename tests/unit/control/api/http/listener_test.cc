// SPDX-License-Identifier: Apache-2.0
#include "control/api/http/listener.h"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

struct stat status_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status;
}

class ListenerTest : public testing::Test {
 protected:
  TempDir dir;
  const std::string path = dir.file("x.sock");
};

TEST_F(ListenerTest, TheModeDoesNotDependOnTheUmask) {
  for (const mode_t mask : {0022, 0077, 0777}) {
    const mode_t before = ::umask(mask);
    {
      const auto listener = Listener::on_path(path, {.owner = {}, .group = {}, .mode = 0666});
      EXPECT_TRUE(listener) << listener.error();
      EXPECT_EQ(status_of(path).st_mode & 07777, 0666u);
    }
    EXPECT_EQ(::umask(before), mask) << "the umask belongs to all threads";
  }
}

TEST_F(ListenerTest, TheDefaultOwnerAndGroupAreTealds) {
  const auto listener = Listener::on_path(path, {});
  ASSERT_TRUE(listener) << listener.error();
  EXPECT_EQ(status_of(path).st_uid, ::geteuid());
  EXPECT_EQ(status_of(path).st_gid, ::getegid());
  EXPECT_EQ(status_of(path).st_mode & 07777, 0660u);
}

TEST_F(ListenerTest, SetsAndChangesOwnerAndGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  auto listener = Listener::on_path(path, {.owner = 1, .group = 2, .mode = 0620});
  ASSERT_TRUE(listener) << listener.error();
  EXPECT_EQ(status_of(path).st_uid, 1u);
  EXPECT_EQ(status_of(path).st_gid, 2u);
  EXPECT_EQ(status_of(path).st_mode & 07777, 0620u);
  ASSERT_TRUE(listener->set_access({.owner = {}, .group = 3, .mode = 0600}));
  EXPECT_EQ(status_of(path).st_uid, 0u);
  EXPECT_EQ(status_of(path).st_gid, 3u);
  EXPECT_EQ(status_of(path).st_mode & 07777, 0600u);
}

// Runs in a child process, as a process that has dropped root cannot get it back.
TEST_F(ListenerTest, ARefusedChangeOfAccessChangesNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(::chown(dir.path().c_str(), 65534, 65534), 0);
  const auto in_child = [this] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(10);
    if (Listener::on_path(path, {.owner = 0, .group = {}, .mode = 0660})) ::_exit(11);
    auto listener = Listener::on_path(path, {.owner = {}, .group = {}, .mode = 0640});
    if (!listener) ::_exit(12);
    const auto refused = listener->set_access({.owner = {}, .group = 0, .mode = 0666});
    if (refused || refused.error().find("CAP_CHOWN") == std::string::npos) ::_exit(13);
    ::_exit(static_cast<int>(status_of(path).st_mode & 07777) == 0640 ? 0 : 14);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

TEST_F(ListenerTest, TheDestructorRemovesThePath) {
  { const auto listener = Listener::on_path(path, {}); }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(ListenerTest, KeepsOtherFilesAndRefusesLongPaths) {
  FILE* file = fopen(path.c_str(), "w");
  fclose(file);
  const auto on_file = Listener::on_path(path, {});
  ASSERT_FALSE(on_file);
  EXPECT_EQ(on_file.error(), path + ": exists and is not a socket, so teald does not remove it");
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  const auto long_path = Listener::on_path(dir.file(std::string(120, 'x')), {});
  ASSERT_FALSE(long_path);
  EXPECT_NE(long_path.error().find("at most 107"), std::string::npos) << long_path.error();
}

TEST_F(ListenerTest, ALoopbackPortHasOneListener) {
  Socket endpoint{*IpAddress::parse("127.0.0.1"), {}, kProtocolTcp};
  const auto first = Listener::on_loopback(endpoint);
  ASSERT_TRUE(first) << first.error();
  EXPECT_NE(first->endpoint().port.host(), 0);
  EXPECT_TRUE(RawClient(first->endpoint()).is_connected());
  const auto second = Listener::on_loopback(first->endpoint());
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find("cannot bind it: Address already in use"), std::string::npos)
      << second.error();
}

}  // namespace
}  // namespace teal
