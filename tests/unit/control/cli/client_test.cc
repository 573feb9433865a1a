// SPDX-License-Identifier: Apache-2.0
//
// Daemons that do not run, refuse access, do not answer, or answer nonsense.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "tests/unit/control/cli/fixture.h"

namespace teal::cli {
namespace {

using nlohmann::json;

constexpr uid_t kNobody = 65534;

// Until the end of the scope, the process runs as a user who owns nothing.
class AsNobody {
 public:
  AsNobody() { EXPECT_EQ(seteuid(kNobody), 0); }
  ~AsNobody() { EXPECT_EQ(seteuid(0), 0); }
};

TEST_F(CliTest, AnUnreachableDaemonIsExitCode7) {
  const auto missing = teal({"--socket", directory_.file("none.sock"), "list"});
  EXPECT_EQ(missing.exit_code, 7);
  EXPECT_EQ(missing.err,
            "teal: cannot reach teald on " + directory_.file("none.sock") + ": the socket does not exist\n" +
                "hint: check teald: systemctl status teald; for another instance use --socket PATH or "
                "TEAL_SOCKET\n");
  EXPECT_TRUE(contains(teal({"--socket", "/none/such/teal.sock", "list"}).err,
                       ": the directory /none/such does not exist\n"));
  daemon_.reset();
  const auto dead = teal({"list"});
  EXPECT_EQ(dead.exit_code, 7);
  EXPECT_TRUE(contains(dead.err, "no process listens on it"));
  EXPECT_TRUE(contains(dead.err, "journalctl -u teald"));
  const auto as_json = teal({"list", "-o", "json"});
  EXPECT_EQ(as_json.exit_code, 7);
  EXPECT_EQ(json::parse(as_json.out)["error"]["code"], "unreachable");
}

// A daemon that answers a change after two other questions.
class SlowDaemon {
 public:
  explicit SlowDaemon(const std::string& path) : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    thread_ = std::thread([this] {
      const int change = ::accept(listener_, nullptr, nullptr);
      for (int question = 0; question < 2; ++question) answer(::accept(listener_, nullptr, nullptr));
      answer(change);
    });
  }
  ~SlowDaemon() {
    thread_.join();
    ::close(listener_);
  }

 private:
  static void answer(int client) {
    char request[4096];
    (void)::recv(client, request, sizeof(request), 0);
    constexpr std::string_view kAnswer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: "
        "close\r\n\r\n{}";
    (void)::send(client, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    ::close(client);
  }

  const int listener_;
  std::thread thread_;
};

TEST_F(CliTest, AChangeMayTakeLongerWhileTealdAnswersOtherQuestions) {
  const SlowDaemon slow(directory_.file("slow.sock"));
  Client client(directory_.file("slow.sock"), std::chrono::milliseconds(500));
  int waits = 0;
  client.be_patient(std::chrono::minutes(1), [&] { ++waits; });
  const auto reply = client.post("/v1/flip", json::object());
  EXPECT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(waits, 1);
}

TEST_F(CliTest, WhoMayNotUseTheSocketIsToldWhoseItIs) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be refused as somebody else";
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(socket_.c_str(), 0600), 0);
  const AsNobody nobody;
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_TRUE(contains(
      result.err,
      "permission denied; its owner is root:root, its mode 0600, and you are nobody; nothing was sent\n"))
      << result.err;
  EXPECT_TRUE(contains(result.err,
                       "hint: use sudo teal ..., or give a group access in the config: [api] control = {"))
      << result.err;
}

TEST_F(CliTest, WhoMayNotUseTheSocketIsToldWhichGroupToJoin) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be refused as somebody else";
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(socket_.c_str(), 0660), 0);
  ASSERT_EQ(chown(socket_.c_str(), 0, 1), 0);
  const AsNobody nobody;
  EXPECT_TRUE(
      contains(teal({"unlock"}).err, "or join the group: usermod -aG daemon nobody, then log in again\n"));
}

TEST_F(CliTest, WhoMayNotUseTheSocketStillReadsFromStatusSock) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can be refused as somebody else";
  FakeDaemon status(directory_.file("status.sock"));
  status.answer("GET /v1/services?view=summary", summary_answer());
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(socket_.c_str(), 0600), 0);
  ASSERT_EQ(chmod(directory_.file("status.sock").c_str(), 0666), 0);
  {
    const AsNobody nobody;
    EXPECT_EQ(teal({"list"}).exit_code, 0);
    EXPECT_EQ(teal({"unlock"}).exit_code, 7) << "a change is not sent there";
  }
  EXPECT_EQ(status.requests().size(), 1u);
}

TEST_F(CliTest, AReadOnlySocketSaysWhereChangesGo) {
  daemon_->answer("POST /v1/flip", error_answer("read_only", "status.sock is read-only"), 403);
  const auto result = teal({"flip", "service-a", "--to", "green"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(contains(result.err, "hint: send changes to control.sock"));
}

TEST_F(CliTest, NoAnswerEndsWithTheTimeoutAndSaysWhatIsNotKnown) {
  daemon_->answer("POST /v1/flip", Answer{.way = Answer::Way::kNever});
  const auto start = std::chrono::steady_clock::now();
  const auto result = teal({"flip", "service-a", "--to", "green", "--timeout", "100ms"});
  EXPECT_EQ(result.exit_code, 8);
  EXPECT_TRUE(contains(
      result.err, "did not answer within 100ms (--timeout); it is not known whether the change was made"));
  EXPECT_TRUE(contains(result.err, "hint: teal history says whether the change was made; or repeat"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(CliTest, BrokenAnswersAreErrors) {
  const std::tuple<Answer, int, const char*> cases[] = {
      {{.body = R"({"generation":)", .way = Answer::Way::kCut},
       7,
       "closed the connection before the end of its answer"},
      {{.body = "what?\r\n\r\n", .way = Answer::Way::kNoHttp}, 7, "did not answer in HTTP"},
      {{.body = "not json"}, 1, "HTTP status 200"},
      {{.body = "[]"}, 1, "HTTP status 200"},
      {{.body = "{}"}, 1, "another format than expected"},
      {{.body = R"({"services":[{"name":5}]})"}, 1, "another format than expected"},
      {{.status = 500, .body = ""}, 1, "HTTP status 500"}};
  for (const auto& [answer, exit_code, part] : cases) {
    daemon_->answer("GET /v1/services?view=summary", answer);
    const auto result = teal({"list"});
    EXPECT_EQ(result.exit_code, exit_code) << part;
    EXPECT_TRUE(contains(result.err, part)) << result.err;
  }
}

TEST_F(CliTest, BrokenAnswersOfAnyVerbAreErrorsAndNoCrash) {
  for (const char* body :
       {"{}", R"({"services":5})", R"({"changed":[{"service":7}],"generation":"x"})",
        R"({"plan":[],"generation":1})", R"({"changes":[{"id":1}]})", R"({"draining":5})"}) {
    for (const char* request :
         {"GET /v1/services", "GET /v1/services?view=summary", "GET /v1/services/service-a",
          "GET /v1/services/service-a/drain", "GET /v1/history?limit=20", "GET /v1/counters",
          "GET /v1/flows?limit=100", "POST /v1/flip", "POST /v1/reload", "POST /v1/drain", "POST /v1/backend",
          "POST /v1/lock"})
      daemon_->answer(request, Answer{.body = body});
    for (const auto& words : {std::vector<std::string>{"status"},
                              {"list"},
                              {"backend", "list", "service-a"},
                              {"drain", "service-a"},
                              {"drain", "--group", "shop"},
                              {"wait", "service-a", "--for", "drained"},
                              {"flip", "service-a", "--to", "blue"},
                              {"reload"},
                              {"drain", "service-a", "--then", "wait"},
                              {"backend", "set", "a/blue/x:1", "ready"}}) {
      const auto result = teal(words);
      EXPECT_EQ(result.exit_code, 1) << words[0] << " " << body;
      EXPECT_TRUE(contains(result.err, "another format than expected") ||
                  contains(result.err, "unknown group"))
          << result.err;
    }
  }
}

}  // namespace
}  // namespace teal::cli
