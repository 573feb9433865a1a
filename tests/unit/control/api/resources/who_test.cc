// SPDX-License-Identifier: Apache-2.0
//
// Tests the user and the revision of a change, and drift.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

using namespace std::chrono_literals;

constexpr uid_t kNobody = 65534;

class Who : public testing::Test {
 protected:
  // Flips service-a by a request with this header.
  void flip_with(const std::string& header) {
    const std::string body =
        fmt::format(R"({{"services":["service-a"],"to":"{}"}})", flips_++ % 2 ? "blue" : "green");
    const std::string reply =
        send_raw(home.socket(), fmt::format("POST /v1/flip HTTP/1.1\r\nHost: teal\r\n{}Connection: close\r\n"
                                            "Content-Type: application/json\r\n"
                                            "Content-Length: {}\r\n\r\n{}",
                                            header, body.size(), body));
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
  }
  nlohmann::json latest() { return home.get("/v1/history").body["changes"][0]; }
  nlohmann::json revision() { return home.get("/v1/services").body["revision"]; }
  std::string code(const ApiReply& reply) {
    return std::to_string(reply.status) + " " + reply.body["error"].value("code", "-");
  }
  ApiReply flip_if(const nlohmann::json& revision, const char* to) {
    return home.post(
        "/v1/flip",
        nlohmann::json{{"services", {"service-a"}}, {"to", to}, {"if_revision", revision}}.dump());
  }
  void restart() {
    daemon.reset();
    daemon.emplace(home);
  }

  DaemonHome home;
  std::optional<RunningDaemon> daemon{home};
  int flips_ = 0;
};

TEST_F(Who, BehindSudoTheLoginUserAppears) {
  if (geteuid() != 0) GTEST_SKIP() << "the claim counts beside root only";
  flip_with("Teal-Login-Uid: 65534\r\n");
  EXPECT_EQ(latest()["uid"], kNobody);
  EXPECT_EQ(latest()["by_root"], true);
  EXPECT_TRUE(home.comes_true([&] { return latest()["user"] == "nobody"; }));
  flip_with("Teal-Login-Uid: 0\r\n");
  EXPECT_EQ(latest()["uid"], 0);
  EXPECT_EQ(latest()["by_root"], false) << "root logged in";
  flip_with("");
  EXPECT_EQ(latest()["uid"], 0);
  EXPECT_EQ(latest()["by_root"], false);
}

TEST_F(Who, AClaimOfAnotherUserThanRootDoesNotCount) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can send as somebody else";
  ASSERT_EQ(chmod(home.dir().path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(home.socket().c_str(), 0666), 0);
  ASSERT_EQ(seteuid(kNobody), 0);
  flip_with("Teal-Login-Uid: 0\r\n");
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(latest()["uid"], kNobody);
  EXPECT_EQ(latest()["by_root"], false);
}

TEST_F(Who, WhatHappensByItselfIsByTeald) {
  const FakeDataplane dataplane(home.run_dir());
  EXPECT_TRUE(home.comes_true([&] { return home.get("/v1/history").body["changes"].size() == 1; }));
  EXPECT_EQ(latest()["verb"], "publish");
  EXPECT_EQ(latest()["uid"], nullptr);
  EXPECT_EQ(latest()["user"], "teald");
}

// --- the revision ---

TEST_F(Who, OnlyChangesOfOperatorsRaiseTheRevision) {
  const nlohmann::json before = revision();
  ASSERT_TRUE(before.is_number()) << before;
  const FakeDataplane dataplane(home.run_dir());
  EXPECT_TRUE(home.comes_true([&] { return home.get("/v1/version").body["generation"] == 1; }));
  EXPECT_EQ(revision(), before) << "the segment got everything";
  EXPECT_EQ(latest()["revision"], nullptr);
  nlohmann::json last = before;
  const std::pair<const char*, const char*> changes[] = {
      {"/v1/flip", R"({"services":["service-a"],"to":"green"})"},
      {"/v1/rollback", R"({"services":["service-a"]})"},
      {"/v1/backend",
       R"({"service":"service-a","colour":"blue","address":"198.18.2.11:8080","state":"drain"})"},
      {"/v1/lock", R"({"reason":"audit"})"},
      {"/v1/unlock", R"({"reason":"audit is over"})"}};
  for (const auto& [path, body] : changes) {
    const nlohmann::json answer = home.post(path, body).body;
    EXPECT_GT(answer["revision"], last) << path;
    last = answer["revision"];
    EXPECT_EQ(revision(), last) << path;
    EXPECT_EQ(latest()["revision"], last) << path;
  }
  EXPECT_EQ(home.post("/v1/unlock", "{}").body["revision"], last) << "nothing changed";
  EXPECT_EQ(home.get("/v1/version").body["revision"], last);
  EXPECT_EQ(home.get("/v1/services?view=summary").body["revision"], last);
}

TEST_F(Who, AnotherRevisionIsAConflictThatNamesThePresentOne) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  const nlohmann::json seen = revision();
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  ASSERT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  const ApiReply refused = flip_if(seen, "blue");
  EXPECT_EQ(code(refused), "409 conflict");
  const std::string said = refused.body["error"].value("message", "");
  EXPECT_NE(said.find("the revision is " + revision().dump() + ", not " + seen.dump()), std::string::npos)
      << said;
  EXPECT_EQ(flip_if(revision(), "blue").status, 200u);
}

TEST_F(Who, TheRevisionSurvivesRestarts) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  ASSERT_EQ(home.post("/v1/lock", R"({"reason":"audit"})").status, 200u);
  ASSERT_EQ(home.post("/v1/unlock", "{}").status, 200u);
  const nlohmann::json seen = revision();
  ASSERT_TRUE(seen.is_number());
  restart();
  EXPECT_EQ(revision(), seen);
  EXPECT_EQ(flip_if(seen, "blue").status, 200u);
}

// --- drift ---

// The file gives its colour to a new service. It does not govern the colour of a service that is there.
TEST_F(Who, AFlipIsNoDrift) {
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  EXPECT_EQ(home.service("service-a")["drift"].dump(), "[]");
}

TEST_F(Who, ADrainThatIsOverIsNoDrift) {
  FakeDataplane dataplane(home.run_dir());
  EXPECT_TRUE(home.comes_true([&] { return home.get("/v1/version").body["generation"] == 1; }));
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  auto& flows = dataplane.segment().worker(0).flows[0][0].live;
  flows = 3;
  ASSERT_EQ(home.post("/v1/drain", R"({"services":["service-a"],"timeout":"7m"})").status, 200u);
  EXPECT_EQ(home.service("service-a")["drift"].size(), 1u) << "the file has another timeout";
  flows = 0;
  EXPECT_EQ(home.service("service-a")["drift"].dump(), "[]");
}

}  // namespace
}  // namespace teal
