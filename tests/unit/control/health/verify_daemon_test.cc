// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/verify of a whole teald, with teal-health itself. The checks are commands that look at a file, and
// their interval is an hour: so each result is of a check that verify asked for.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

using nlohmann::json;

constexpr char kCheckEachHour[] = "interval = \"1h\"\n";

class VerifyDaemon : public testing::Test {
 protected:
  VerifyDaemon() { std::filesystem::create_directories(home.run_dir()); }
  ~VerifyDaemon() override { end_prober(); }

  // A check fails while the file "sick", or "sick-ADDRESS:PORT" of its backend, is there. It hangs while the
  // file "hangs" is there.
  // `more` backends follow green's first one.
  void write_config(bool checks = true, const std::string& more = "") {
    const std::string command = "for i in 1 2 3 4 5 6 7 8 9; do test -e " + home.dir().file("hangs") +
                                " || break; sleep 1; done; test ! -e " + home.dir().file("sick") +
                                " -a ! -e " + home.dir().file("sick-$TEAL_BACKEND") +
                                " || { echo sick; exit 1; }";
    const std::string check =
        "[service.check]\nkind = \"command\"\ntimeout = \"20s\"\ncommand = [\"/bin/sh\", "
        "\"-c\", \"" +
        command + "\"]\n" + kCheckEachHour;
    std::string toml = kShopToml;
    const std::string after = "green = [\"198.18.2.21:8080\"]\n";
    if (checks) toml.insert(toml.find(after) + after.size(), check);
    toml.insert(toml.find(after) + after.size() - 2, more);
    home.write_config(toml);
  }
  void make(const char* name) { std::ofstream(home.dir().file(name)) << "x"; }
  void remove(const char* name) { std::filesystem::remove(home.dir().file(name)); }
  void start_prober() {
    const std::string run_dir = home.run_dir();
    prober = ::fork();
    if (prober != 0) return;
    ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
    ::execl(TEAL_HEALTH, "teal-health", "--run-dir", run_dir.c_str(), nullptr);
    ::_exit(127);
  }
  void end_prober() {
    if (prober <= 0) return;
    ::kill(prober, SIGTERM);
    ::waitpid(std::exchange(prober, -1), nullptr, 0);
  }
  json verify(const std::string& more = "") {
    const ApiReply reply = home.post("/v1/verify", R"({"services":["service-a"])" + more + "}");
    EXPECT_EQ(reply.status, 200u) << reply.body;
    return reply.body;
  }

  DaemonHome home;
  pid_t prober = -1;
};

TEST_F(VerifyDaemon, ChecksTheIdleColourNowAndSaysThatAFlipWouldBeMade) {
  write_config();
  RunningDaemon daemon(home);
  start_prober();
  EXPECT_EQ(home.service("service-a")["colours"]["green"]["backends"][0]["health"], "unchecked");
  const json answer = verify();
  EXPECT_EQ(answer["verdict"], "flips") << answer;
  EXPECT_EQ(answer["reasons"], json::array());
  const json& service = answer["services"][0];
  EXPECT_EQ(service["to"], "green");
  EXPECT_EQ(service["backends"][0]["check"], "passed");
  EXPECT_EQ(service["backends"][0]["health"], "up");
  EXPECT_EQ(home.service("service-a")["active"], "blue") << "nothing is changed";
  EXPECT_EQ(home.service("service-a")["colours"]["blue"]["backends"][0]["health"], "unchecked")
      << "only the colour that was asked for is checked";
  EXPECT_EQ(verify(R"(,"to":"blue")")["verdict"], "unchanged");
  const json group = home.post("/v1/verify", R"({"group":"shop"})").body;
  EXPECT_EQ(group["verdict"], "flips");
  EXPECT_EQ(group["services"].size(), 2u);
}

TEST_F(VerifyDaemon, NamesEveryReasonForARefusal) {
  write_config();
  FakeDataplane dataplane(home.run_dir());
  RunningDaemon daemon(home);
  start_prober();
  make("sick");
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  const json answer = verify();
  EXPECT_EQ(answer["verdict"], "refused") << answer;
  EXPECT_EQ(answer["services"][0]["backends"][0]["check"], "failed");
  EXPECT_EQ(answer["services"][0]["backends"][0]["health_reason"], "sick");
  const json& reasons = answer["reasons"];
  ASSERT_EQ(reasons.size(), 3u) << answer;
  EXPECT_EQ(reasons[0], "no green backend of service-a is up and can be reached");
  EXPECT_EQ(reasons[1], "service-a/green/198.18.2.21:8080: down: sick");
  EXPECT_NE(reasons[2].get<std::string>().find("audit"), std::string::npos);
}

TEST_F(VerifyDaemon, WarnsOfABackendThatFailsNowAndIsStillUp) {
  write_config(true, ", \"198.18.2.29:8080\"");
  RunningDaemon daemon(home);
  start_prober();
  ASSERT_EQ(verify()["verdict"], "flips");
  make("sick-198.18.2.21:8080");
  const json answer = verify();
  EXPECT_EQ(answer["verdict"], "flips") << answer;
  EXPECT_EQ(answer["services"][0]["backends"][0]["health"], "up");
  EXPECT_EQ(answer["services"][0]["backends"][0]["check"], "failed");
  EXPECT_EQ(answer["warnings"].back(),
            "service-a/green/198.18.2.21:8080 failed its check now, and is up until it has failed 3 times");
}

TEST_F(VerifyDaemon, AColourWhoseChecksAllFailNowIsNotVerified) {
  write_config();
  RunningDaemon daemon(home);
  start_prober();
  ASSERT_EQ(verify()["verdict"], "flips");
  make("sick");
  const json answer = verify();
  EXPECT_EQ(answer["verdict"], "failing") << answer;
  EXPECT_EQ(answer["text"],
            "no gate would refuse a flip of service-a to green, but every backend of service-a fails its "
            "check now");
  EXPECT_EQ(answer["services"][0]["backends"][0]["health"], "up");
  EXPECT_EQ(answer["services"][0]["backends"][0]["check"], "failed");
  EXPECT_EQ(answer["warnings"].back(),
            "service-a/green/198.18.2.21:8080 failed its check now, and is up until it has failed 3 times");
}

TEST_F(VerifyDaemon, SaysThatChecksGaveNoAnswerInTime) {
  write_config();
  RunningDaemon daemon(home);
  const json absent = verify(R"(,"timeout":"200ms")");
  EXPECT_EQ(absent["verdict"], "no_answer");
  EXPECT_EQ(absent["text"], "1 of 1 checks gave no answer within 200ms: teal-health does not report");
  start_prober();
  ASSERT_TRUE(
      FakeDataplane::wait_for([&] { return home.get("/v1/health").body["prober"]["fresh"] == true; }));
  make("hangs");
  const json slow = verify(R"(,"timeout":"200ms")");
  EXPECT_EQ(slow["verdict"], "no_answer");
  EXPECT_EQ(slow["text"], "1 of 1 checks gave no answer within 200ms");
  EXPECT_EQ(slow["services"][0]["backends"][0]["check"], "no_answer");
  remove("hangs");
}

TEST_F(VerifyDaemon, AServiceWithoutACheckIsJudgedByItsGatesAlone) {
  write_config(false);
  RunningDaemon daemon(home);
  const json answer = verify();
  EXPECT_EQ(answer["verdict"], "flips");
  EXPECT_TRUE(answer["services"][0]["backends"][0]["check"].is_null());
  ASSERT_EQ(answer["warnings"].size(), 2u);
  EXPECT_TRUE(answer["warnings"][0].get<std::string>().starts_with("no dataplane is running"));
  EXPECT_EQ(answer["warnings"][1], "service-a has no check: only its next hops are known");
}

TEST_F(VerifyDaemon, AMistakeIsAnError) {
  write_config(false);
  RunningDaemon daemon(home);
  EXPECT_EQ(home.post("/v1/verify", R"({"services":["none"]})").status, 404u);
  EXPECT_EQ(home.post("/v1/verify", R"({"group":"none"})").status, 404u);
  EXPECT_EQ(home.post("/v1/verify", "{}").status, 400u);
  for (const char* more : {R"("to":"red")", R"("timeout":"1h")", R"("force":true)"})
    EXPECT_EQ(home.post("/v1/verify", std::string(R"({"services":["service-a"],)") + more + "}").status, 400u)
        << more;
}

}  // namespace
}  // namespace teal
