// SPDX-License-Identifier: Apache-2.0
//
// The log has lines about changes, and about attempts that were refused.
#include <gtest/gtest.h>

#include <unistd.h>

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
  const std::string uid = "uid " + std::to_string(::getuid());
};

TEST_F(LoggedTest, AChangeHasItsUserReasonAndGeneration) {
  home.post("/v1/flip", R"({"services":["service-a"],"to":"green","reason":"release 42"})");
  const std::string flip = log.line_with("flip [");
  EXPECT_TRUE(flip.starts_with("info: ")) << flip;
  for (const std::string& part : {std::string(R"("service":"service-a")"), uid, std::string("generation 1"),
                                  std::string("reason: release 42")})
    EXPECT_NE(flip.find(part), std::string::npos) << part << " in " << flip;
  // The name is looked up after the first change.
  ASSERT_TRUE(FakeDataplane::wait_for(
      [&] { return home.get("/v1/history?limit=1").body["changes"][0]["user"] != ""; }));
  home.post("/v1/lock", R"({"reason":"audit"})");
  const std::string lock = log.line_with("lock [");
  EXPECT_NE(lock.find(uid + " ("), std::string::npos) << lock;
}

TEST_F(LoggedTest, ARefusedAttemptHasItsUserVerbAndReason) {
  home.post("/v1/flip", R"({"services":["nope"],"to":"green","reason":"release 42"})");
  const std::string unknown = log.line_with("unknown_service");
  EXPECT_TRUE(unknown.ends_with("; reason: release 42")) << unknown;
  EXPECT_TRUE(unknown.starts_with("info: flip was refused (unknown_service): ")) << unknown;
  EXPECT_NE(unknown.find(uid), std::string::npos) << unknown;
  home.post("/v1/lock", R"({"reason":"audit"})");
  home.flip("service-a", "green");
  const std::string locked = log.line_with("(locked)");
  EXPECT_TRUE(locked.starts_with("warning: flip was refused (locked): ")) << locked;
  EXPECT_NE(locked.find("audit"), std::string::npos) << locked;
  call(home.run_dir() + "/status.sock", "POST", "/v1/unlock", "{}");
  const std::string read_only = log.line_with("(read_only)");
  EXPECT_TRUE(read_only.starts_with("warning: POST /v1/unlock was refused (read_only): ")) << read_only;
  EXPECT_NE(read_only.find(uid), std::string::npos) << read_only;
  home.get("/v1/services/nope");
  EXPECT_EQ(log.lines_with("unknown_service").size(), 1u) << "a read is no attempt of a change";
}

TEST_F(LoggedTest, AClientThatRetriesDoesNotFloodTheLog) {
  for (int i = 0; i < 200; ++i) home.post("/v1/flip", R"({"services":["nope"],"to":"green"})");
  home.post("/v1/flip", R"({"services":["service-a"],"to":"red"})");
  EXPECT_LE(log.lines_with("unknown_service").size(), 10u);
  EXPECT_EQ(log.lines_with("(bad_request)").size(), 1u) << "each code has a limit of its own";
  ASSERT_TRUE(home.comes_true([&] { return !log.lines_with("more attempts").empty(); }));
  EXPECT_NE(log.line_with("more attempts").find("190 more attempts"), std::string::npos)
      << log.line_with("more attempts");
  EXPECT_NE(log.line_with("more attempts").find("unknown_service"), std::string::npos);
}

}  // namespace
}  // namespace teal
