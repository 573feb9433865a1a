// SPDX-License-Identifier: Apache-2.0
//
// The server against clients that are slow, silent, greedy or many.
#include <gtest/gtest.h>

#include <list>

#include "tests/unit/control/api/http/server_fixture.h"

namespace teal {
namespace {

TEST_F(ServerTest, RefusesLargeHeadersAndBodies) {
  start({.header_bytes = 1000, .body_bytes = 1000});
  const std::string large(2000, 'x');
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nX: " + large + "\r\n\r\n").starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nContent-Length: 2000\r\n\r\n" + large).starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(
      ask("POST / HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" +
          large + "\r\n0\r\n\r\n")
          .starts_with("HTTP/1.1 413"));
  EXPECT_EQ(handled, 0);
}

// The server answers as soon as the header announces too large a body, while the client still sends.
TEST_F(ServerTest, AClientThatStillSendsCanReadTheRefusal) {
  start({});
  RawClient client(path);
  (void)client.send("POST / HTTP/1.1\r\nContent-Length: 500000\r\n\r\n");
  for (int i = 0; i < 100; ++i) (void)client.send(std::string(5000, 'x'));
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 413")) << client.received();
}

TEST_F(ServerTest, ASlowRequestHasTheTimeLimitOfOneRequest) {
  start({.idle = 10min, .request = 60s});
  RawClient client(path);
  client.send("G");
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(59s);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(client.is_closed(0ms)) << client.received();
  client.send("ET /slow HTTP/1.1\r\n");
  clock.skip(1s);
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 408")) << client.received();
  EXPECT_NE(client.received().find("request_timeout"), std::string::npos);
  EXPECT_EQ(handled, 1) << "of the other client";
}

TEST_F(ServerTest, AMissingBodyIsATimeout) {
  start({.idle = 10min, .request = 60s});
  RawClient client(path);
  client.send("POST /a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\nxyz");
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(60s);
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 408"));
}

TEST_F(ServerTest, AMissingBodyIsATimeoutAfter100ContinueToo) {
  start({.idle = 10min, .request = 60s, .write = 10min});
  RawClient client(path);
  client.send(
      "POST /a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"
      "Expect: 100-continue\r\n\r\n");
  ASSERT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100")) << client.received();
  client.forget();
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(59s);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(client.is_closed(0ms)) << client.received();
  clock.skip(1s);
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 408")) << client.received();
}

TEST_F(ServerTest, AnIdleConnectionIsClosedWithoutAnAnswer) {
  start({.idle = 60s, .request = 10min, .write = 10min});
  RawClient client(path);
  client.get("/a");
  client.read_until("uid");
  client.forget();
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(59s);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(client.is_closed(0ms));
  clock.skip(1s);
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(client.received(), "");
}

TEST_F(ServerTest, ASlowHandlerIsNotATimeout) {
  start({});
  RawClient client(path);
  client.get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 1; }));
  clock.skip(1h);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(client.is_closed(0ms));
  release();
  EXPECT_TRUE(client.read_until("uid").starts_with("HTTP/1.1 200")) << client.received();
}

TEST_F(ServerTest, AClientThatDoesNotReadIsDisconnected) {
  start({.idle = 10min, .request = 10min, .write = 60s});
  RawClient client(path);
  client.get("/big");
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(60s);
  EXPECT_TRUE(client.is_hung_up()) << "without a read";
  EXPECT_TRUE(client.is_closed());
  EXPECT_LT(client.received().size(), size_t{4} << 20);
}

TEST_F(ServerTest, UnreadAnswersHaveALimit) {
  start({.unread_bytes = 10 << 20});
  std::list<RawClient> greedy;
  for (int i = 0; i < 5; ++i) {
    greedy.emplace_back(path).get("/big");
    ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == i + 1; }));
  }
  int refused = 0;
  for (RawClient& client : greedy)
    refused += client.read_until("\r\n\r\n").starts_with("HTTP/1.1 503") ? 1 : 0;
  EXPECT_EQ(refused, 3) << "10 MB admit two answers of 4 MB";
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200")) << "a small answer fits";
}

TEST_F(ServerTest, OneThousandSilentConnectionsKeepNobodyOut) {
  start({});
  RawClient served(path);
  served.get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 1; }));
  std::list<RawClient> silent;
  for (int i = 0; i < 1000; ++i) silent.emplace_back(path);
  const std::string reply =
      ask("POST /flip HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: "
          "close\r\n\r\n");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
  release();
  EXPECT_NE(served.read_until("uid").find("GET /slow"), std::string::npos) << served.received();
  int refused = 0, unanswered = 0, open = 0;
  for (RawClient& client : silent) {
    if (!client.is_closed(0ms)) {
      ++open;
    } else {
      ++(client.received().find("too_many_connections") != std::string::npos ? refused : unanswered);
    }
  }
  EXPECT_EQ(unanswered, 0) << "a closed connection got the reason";
  EXPECT_EQ(refused + open, 1000);
  EXPECT_LE(open, 128);
}

TEST_F(ServerTest, OneThousandParallelRequestsAreAllAnswered) {
  start({});
  std::list<RawClient> clients;
  for (int i = 0; i < 1000; ++i)
    clients.emplace_back(path).send("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n");
  int answered = 0;
  for (RawClient& client : clients) answered += client.read_all().starts_with("HTTP/1.1 200") ? 1 : 0;
  EXPECT_EQ(answered, 1000);
}

TEST_F(ServerTest, OneThousandSlowSendersKeepNobodyOut) {
  start({});
  std::list<RawClient> slow;
  for (int i = 0; i < 1000; ++i) slow.emplace_back(path).send("G");
  const std::string reply = get("/a");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200")) << reply;
}

TEST_F(ServerTest, RefusesANewClientWhileAllSlotsAreServed) {
  start({.slot_wait = 60s, .connections = 4, .reserved_for_changes = 0});
  std::list<RawClient> served;
  for (int i = 0; i < 4; ++i) served.emplace_back(path).get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 4; }));
  RawClient refused(path);
  ASSERT_TRUE(clock.is_waited_for(10ms)) << "for a slot";
  EXPECT_FALSE(refused.is_closed(0ms));
  clock.skip(60s);
  const std::string reply = refused.read_all();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n")) << reply;
  EXPECT_NE(reply.find(R"({"error":{"code":"too_many_connections")"), std::string::npos) << reply;
  release();
  for (RawClient& client : served)
    EXPECT_NE(client.read_until("uid").find("GET /slow"), std::string::npos) << client.received();
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, ABurstOfClientsWaitsForSlots) {
  start({.slot_wait = 60s, .connections = 4, .reserved_for_changes = 0});
  std::list<RawClient> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back(path).send("GET /slow HTTP/1.1\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 4; }));
  release();
  for (RawClient& client : clients)
    EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 200")) << client.received();
}

TEST_F(ServerTest, TheLastSlotsAreReservedForChanges) {
  start({.connections = 6, .reserved_for_changes = 2});
  std::list<RawClient> reads;
  for (int i = 0; i < 4; ++i) reads.emplace_back(path).get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 4; }));
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(ask("POST /flip HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: "
                  "close\r\n\r\n")
                  .starts_with("HTTP/1.1 200"));
}

}  // namespace
}  // namespace teal
