// SPDX-License-Identifier: Apache-2.0
//
// Event streams, and the end of the server.
#include <gtest/gtest.h>

#include <deque>

#include "tests/unit/control/api/http/server_fixture.h"

namespace teal {
namespace {

TEST_F(ServerTest, AStreamIsChunkedAndSendsCommentsWhileItHasNoEvents) {
  start({.idle = 10min, .request = 10min, .write = 10min, .keep_alive = 60s});
  RawClient client(path);
  client.get("/pieces");
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(60s);
  client.read_until(": still here\n\n\r\n");
  EXPECT_TRUE(client.received().starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
  EXPECT_NE(client.received().find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_NE(client.received().find(
                "\r\n\r\na\r\nppppppppp\n\r\na\r\nppppppppp\n\r\na\r\nppppppppp\n\r\ne\r\n: still"),
            std::string::npos)
      << client.received();
  client.forget();
  ASSERT_TRUE(clock.is_waited_for(60s));
  clock.skip(60s);
  client.read_until(": still here\n\n\r\n");
  EXPECT_TRUE(client.received().ends_with(": still here\n\n\r\n")) << "again";
  RawClient old(path);
  old.send("GET /pieces HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    clock.skip(1s);
    return old.read_until(": still here", 0ms).find(": still here") != std::string::npos;
  }));
  EXPECT_NE(old.received().find("\r\n\r\nppppppppp\nppppppppp\nppppppppp\n: still"), std::string::npos)
      << old.received();
}

TEST_F(ServerTest, AStreamEndsWhenItsClientDisconnects) {
  start({});
  for (int i = 0; i < 40; ++i) {
    RawClient client(path);
    client.get("/pieces");
    client.read_until("ppp");
  }
  EXPECT_TRUE(FakeDataplane::wait_for([&] { return streams == 0; })) << streams << " are left";
}

TEST_F(ServerTest, AStreamThatItsClientDoesNotReadEnds) {
  start({});
  RawClient client(path);
  client.get("/endless");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return streams == 1; }));
  EXPECT_TRUE(FakeDataplane::wait_for([&] {
    clock.skip(30s);
    return streams == 0;
  }));
  EXPECT_TRUE(client.is_closed());
  EXPECT_LT(client.received().size(), size_t{4} << 20) << "the kernel's buffers, not more";
}

TEST_F(ServerTest, StreamsHaveALimit) {
  start({.streams = 3});
  std::deque<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(path).get("/pieces");
    EXPECT_NE(clients.back().read_until("ppp").find("200 OK"), std::string::npos);
  }
  EXPECT_TRUE(get("/pieces").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  clients.pop_front();
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return streams == 2; }));
  RawClient another(path);
  another.get("/pieces");
  EXPECT_NE(another.read_until("ppp").find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, ItsEndClosesStreamsAndAnswersRequestsUnderWay) {
  start({});
  RawClient stream(path), idle(path), asking(path);
  stream.get("/pieces");
  stream.read_until("ppp");
  asking.get("/slow");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 2; }));
  close_server();
  release();
  EXPECT_TRUE(stream.is_closed());
  EXPECT_TRUE(stream.received().ends_with("0\r\n\r\n")) << stream.received();
  EXPECT_TRUE(idle.is_closed());
  EXPECT_TRUE(asking.is_closed());
  EXPECT_NE(asking.received().find("GET /slow"), std::string::npos) << asking.received();
  EXPECT_NE(asking.received().find("Connection: close"), std::string::npos);
  EXPECT_FALSE(RawClient(path).is_connected());
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(ServerTest, CanBeDestroyedDuringRequestsAndStreams) {
  start({});
  RawClient stream(path), idle(path), asking(path), half(path);
  stream.get("/endless");
  asking.get("/slow");
  half.send("GET /");
  ASSERT_TRUE(FakeDataplane::wait_for([&] { return handled == 2; }));
  stop();
}

}  // namespace
}  // namespace teal
