// SPDX-License-Identifier: Apache-2.0
//
// The log has lines about changes, and about attempts that were refused.
#include <gtest/gtest.h>

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/captured_log.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

class LoggedTest : public testing::Test {
 protected:
  CapturedLog log;
  DaemonHome home;
  RunningDaemon daemon{home};
  // A line about a user waits for the name, and the answer does not.
  std::string line_with(const std::string& text) {
    EXPECT_TRUE(FakeDataplane::wait_for([&] { return !log.lines_with(text).empty(); })) << text;
    return log.line_with(text);
  }

  const std::string uid = "uid " + std::to_string(::getuid());
  const std::string user = uid + " (" + ::getpwuid(::getuid())->pw_name + ")";
};

TEST_F(LoggedTest, AChangeHasItsUserReasonAndGeneration) {
  home.post("/v1/flip", R"({"services":["service-a"],"to":"green","reason":"release 42"})");
  const std::string flip = line_with("flip [");
  EXPECT_TRUE(flip.starts_with("info: ")) << flip;
  for (const std::string& part : {std::string(R"("service":"service-a")"), user, std::string("generation 1"),
                                  std::string("reason: release 42")})
    EXPECT_NE(flip.find(part), std::string::npos) << part << " in " << flip;
  home.post("/v1/lock", R"({"reason":"audit"})");
  const std::string lock = line_with("lock [");
  EXPECT_NE(lock.find(user), std::string::npos) << lock;
}

// The revision is what --if-revision takes. A change of upkeep has none, and is by teald.
TEST_F(LoggedTest, AChangeHasItsRevisionItsUidAndItsReason) {
  home.post("/v1/flip", R"({"services":["service-a"],"to":"green","reason":"release 42"})");
  const std::string flip = line_with("flip [");
  const uint64_t revision = home.get("/v1/services").body["revision"];
  EXPECT_TRUE(flip.ends_with("; " + user + fmt::format("; revision {}; reason: release 42", revision)))
      << flip;
  home.post("/v1/lock", R"({"reason":"audit"})");
  const std::string lock = line_with("lock [");
  EXPECT_TRUE(lock.ends_with("; " + user + fmt::format("; revision {}; reason: audit", revision + 1)))
      << lock;
  FakeDataplane dataplane(home.run_dir());
  const std::string publish = line_with("publish [");
  EXPECT_TRUE(publish.ends_with("; teald; reason: a new segment")) << publish;
}

TEST_F(LoggedTest, ARefusedAttemptHasItsUserVerbAndReason) {
  home.post("/v1/flip", R"({"services":["nope"],"to":"green","reason":"release 42"})");
  const std::string unknown = line_with("unknown_service");
  EXPECT_TRUE(unknown.ends_with("; reason: release 42")) << unknown;
  EXPECT_TRUE(unknown.starts_with("info: flip was refused (unknown_service): ")) << unknown;
  EXPECT_NE(unknown.find(user), std::string::npos) << unknown;
  home.post("/v1/lock", R"({"reason":"audit"})");
  home.flip("service-a", "green");
  const std::string locked = line_with("(locked)");
  EXPECT_TRUE(locked.starts_with("warning: flip was refused (locked): ")) << locked;
  EXPECT_NE(locked.find("audit"), std::string::npos) << locked;
  call(home.run_dir() + "/status.sock", "POST", "/v1/unlock", "{}");
  const std::string read_only = line_with("(read_only)");
  EXPECT_TRUE(read_only.starts_with("warning: POST /v1/unlock was refused (read_only): ")) << read_only;
  EXPECT_NE(read_only.find(uid), std::string::npos) << read_only;
  home.get("/v1/services/nope");
  EXPECT_EQ(log.lines_with("unknown_service").size(), 1u) << "a read is no attempt of a change";
}

TEST_F(LoggedTest, AClientThatRetriesDoesNotFloodTheLog) {
  home.post("/v1/flip", R"({"services":["service-a"],"to":"red"})");
  EXPECT_NE(line_with("(bad_request)"), "") << "the name is known from here on";
  for (int i = 0; i < 200; ++i) home.post("/v1/flip", R"({"services":["nope"],"to":"green"})");
  EXPECT_LE(log.lines_with("unknown_service").size(), 10u);
  EXPECT_EQ(log.lines_with("(bad_request)").size(), 1u) << "each code has a limit of its own";
  ASSERT_TRUE(home.comes_true([&] { return !log.lines_with("more attempts").empty(); }));
  EXPECT_NE(log.line_with("more attempts").find("190 more attempts"), std::string::npos)
      << log.line_with("more attempts");
  EXPECT_NE(log.line_with("more attempts").find("unknown_service"), std::string::npos);
}

}  // namespace
}  // namespace teal
