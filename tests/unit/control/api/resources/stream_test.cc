// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/events of a running teald.
#include <gtest/gtest.h>

#include <unistd.h>

#include "tests/unit/control/api/http/raw_client.h"
#include "tests/unit/control/api_client.h"
#include "tests/unit/control/fake_dataplane.h"

namespace teal {
namespace {

class ApiStreamTest : public testing::Test {
 protected:
  std::string status_socket() const { return home.run_dir() + "/status.sock"; }

  static uint64_t last_id(const std::string& stream) {
    const size_t at = stream.rfind("\nid: ");
    return at == std::string::npos ? 0 : std::stoull(stream.substr(at + 5));
  }
  static size_t count(const std::string& stream, const std::string& what) {
    size_t found = 0;
    for (size_t at = stream.find(what); at != std::string::npos; at = stream.find(what, at + 1)) ++found;
    return found;
  }

  DaemonHome home;
};

TEST_F(ApiStreamTest, AFlipShowsEachStepFromIntendedToDone) {
  FakeDataplane dataplane((std::filesystem::create_directories(home.run_dir()), home.run_dir()));
  RunningDaemon daemon(home);
  RawClient client(status_socket());
  client.get("/v1/events");
  client.read_until(": teald");
  ASSERT_EQ(home.flip("service-a", "green").status, 200u);
  const std::string stream = client.read_until("event: done\n");
  EXPECT_NE(stream.find("Content-Type: text/event-stream\r\n"), std::string::npos);
  size_t at = 0;
  for (const char* type : {"intended", "published", "adopted", "done"}) {
    at = stream.find(std::string("event: ") + type + "\ndata: {\"at\":\"20", at);
    EXPECT_NE(at, std::string::npos) << type << "\n" << stream;
  }
  client.read_until("\"duration_us\":");
  EXPECT_NE(client.received().find(R"("services":[{"service":"service-a","from":"blue","to":"green"}])"),
            std::string::npos)
      << client.received();
}

TEST_F(ApiStreamTest, AClientThatReconnectsMissesNothing) {
  RunningDaemon daemon(home);
  uint64_t id = 0;
  {
    RawClient client(home.socket());
    client.get("/v1/events");
    client.read_until(": teald");
    home.flip("service-a", "green");
    client.read_until("event: done\n");
    id = last_id(client.received());
    ASSERT_GT(id, 0u);
  }
  home.flip("service-b", "green");
  home.flip("service-c", "green");
  RawClient by_header(home.socket()), by_query(home.socket()), by_both(home.socket());
  by_header.get("/v1/events", "Last-Event-ID: " + std::to_string(id) + "\r\n");
  by_query.get("/v1/events?since=" + std::to_string(id));
  by_both.get("/v1/events?since=0", "Last-Event-ID: " + std::to_string(id) + "\r\n");
  for (RawClient* client : {&by_header, &by_query, &by_both}) {
    const std::string stream = client->read_until("service-c\"", RawClient::kLong);
    EXPECT_NE(stream.find("id: " + std::to_string(id + 1) + "\n"), std::string::npos) << stream;
    EXPECT_EQ(stream.find("id: " + std::to_string(id) + "\nevent"), std::string::npos)
        << "an event came twice: " << stream;
    EXPECT_EQ(count(stream, "event: lost"), 0u);
  }
  EXPECT_EQ(home.get("/v1/events?since=x").status, 400u);
  RawClient bad(home.socket());
  bad.get("/v1/events", "Last-Event-ID: seven\r\nConnection: close\r\n");
  EXPECT_NE(bad.read_all().find("HTTP/1.1 400"), std::string::npos);
}

// The clients disconnect in the middle of a stream. The limit is 32 streams, so new clients are served only
// because the streams of the old ones have ended.
TEST_F(ApiStreamTest, StreamsOfDisconnectedClientsEnd) {
  RunningDaemon daemon(home);
  for (int round = 0; round < 5; ++round) {
    std::vector<RawClient> clients;
    for (int i = 0; i < 32; ++i) {
      clients.emplace_back(status_socket());
      ASSERT_TRUE(FakeDataplane::wait_for([&] {
        clients.back().close();
        RawClient again(status_socket());
        again.get("/v1/events?since=0");
        if (again.read_until("\r\n\r\n").find("HTTP/1.1 200") != 0) return false;
        clients.pop_back();
        clients.push_back(std::move(again));
        return true;
      })) << round
          << ", " << i;
    }
    ASSERT_EQ(home.flip("service-a", round % 2 == 0 ? "green" : "blue").status, 200u);
  }
  EXPECT_EQ(home.get("/v1/version").status, 200u);
}

TEST_F(ApiStreamTest, TheEndOfTealdEndsStreamsCleanly) {
  RawClient client = [&] {
    RunningDaemon daemon(home);
    RawClient connected(home.socket());
    connected.get("/v1/events");
    connected.read_until(": teald");
    EXPECT_EQ(daemon.stop(), kExitStopped);
    return connected;
  }();
  EXPECT_TRUE(client.is_closed());
  EXPECT_TRUE(client.received().ends_with("\r\n0\r\n\r\n")) << client.received();
}

}  // namespace
}  // namespace teal
