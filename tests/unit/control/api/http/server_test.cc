// SPDX-License-Identifier: Apache-2.0
//
// The server's requests and answers.
#include <gtest/gtest.h>

#include "tests/unit/control/api/http/server_fixture.h"

namespace teal {
namespace {

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  start({});
  RawClient client(path);
  client.get("/a");
  EXPECT_NE(client.read_until("uid").find("GET /a  uid"), std::string::npos) << client.received();
  client.forget();
  client.send("POST /b HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\nxyz");
  EXPECT_NE(client.read_until("uid").find("POST /b xyz uid " + std::to_string(::getuid())), std::string::npos)
      << client.received();
  EXPECT_NE(client.received().find("Connection: keep-alive"), std::string::npos);
  client.forget();
  client.send("GET /c HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\nConnection: close\r\n\r\n");
  client.read_all();
  EXPECT_NE(client.received().find("GET /c"), std::string::npos);
  EXPECT_NE(client.received().find("GET /d"), std::string::npos) << "pipelined";
}

TEST_F(ServerTest, HeadHasTheLengthAndNoBody) {
  start({});
  const std::string reply = ask("HEAD /big HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 OK\r\n")) << reply.substr(0, 200);
  EXPECT_NE(reply.find("Content-Length: 4194304\r\n"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
  EXPECT_EQ(reply.find("bbb"), std::string::npos);
}

TEST_F(ServerTest, RefusesBytesThatAreNotHttp) {
  start({});
  EXPECT_TRUE(ask("what is this\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + std::string(300, '\x7f'))
                  .starts_with("HTTP/1.1 400"))
      << "TLS";
  EXPECT_TRUE(ask("GET / HTTP/7.3\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask("GET %zz HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(ask("POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(handled, 0);
}

TEST_F(ServerTest, AHandlerThatThrowsFailsOnlyItsRequest) {
  start({});
  RawClient client(path);
  client.get("/throw");
  EXPECT_TRUE(client.read_until("\n").starts_with("HTTP/1.1 500")) << client.received();
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, AReadOnlyServerAcceptsGetAndHead) {
  start({}, true);
  EXPECT_TRUE(get("/a").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(ask("HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 200"));
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string reply = ask(std::string(method) + " /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 403")) << method << reply;
    EXPECT_NE(reply.find("read_only"), std::string::npos);
    EXPECT_NE(reply.find("send changes to /run/control.sock"), std::string::npos) << "the hint";
  }
  EXPECT_EQ(handled, 2);
}

// A page in a browser can send a POST with a type of a form to any address without asking that address.
TEST_F(ServerTest, APostMustHaveTheTypeOfJson) {
  start({});
  const auto post = [&](const std::string& header) {
    return ask("POST /a HTTP/1.1\r\nConnection: close\r\n" + header + "Content-Length: 2\r\n\r\n{}");
  };
  for (const char* header : {"Content-Type: application/json\r\n", "content-type: Application/JSON\r\n",
                             "Content-Type: application/json; charset=utf-8\r\n"})
    EXPECT_TRUE(post(header).starts_with("HTTP/1.1 200")) << header;
  EXPECT_EQ(handled, 3);
  for (const char* header :
       {"", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/jsonx\r\n", "Content-Type: text/plain; application/json\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n"}) {
    const std::string reply = post(header);
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 415 Unsupported Media Type\r\n")) << header << reply;
    EXPECT_NE(reply.find("unsupported_media_type"), std::string::npos) << reply;
    EXPECT_NE(reply.find("application/json"), std::string::npos) << "what is expected";
  }
  EXPECT_EQ(handled, 3);
}

TEST_F(ServerTest, ARequestOfAWebPageIsRefused) {
  start({});
  for (const char* method : {"GET", "HEAD", "POST", "OPTIONS"}) {
    for (const char* origin : {"http://evil.example", "null", "http://localhost", ""}) {
      const std::string reply = ask(std::string(method) + " /a HTTP/1.1\r\nOrigin: " + origin +
                                    "\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n");
      EXPECT_TRUE(reply.starts_with("HTTP/1.1 403 Forbidden\r\n")) << method << " " << origin << reply;
      EXPECT_NE(reply.find("cross_origin"), std::string::npos) << reply;
    }
  }
  EXPECT_EQ(handled, 0);
}

TEST_F(ServerTest, ALoopbackServerHasNoUidAndChecksTheHost) {
  const Socket endpoint = start_on_loopback();
  const auto host = [&](const std::string& line) {
    RawClient client(endpoint);
    (void)client.send("GET /a HTTP/1.1\r\n" + line + "Connection: close\r\n\r\n");
    return client.read_all();
  };
  EXPECT_NE(host("Host: localhost:9100\r\n").find("uid none"), std::string::npos);
  EXPECT_TRUE(host("Host: 127.0.0.1\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(host("Host: evil.example:9100\r\n").starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(host("").starts_with("HTTP/1.1 421"));
  EXPECT_TRUE(host("Host: localhost\r\nHost: evil.example\r\n").starts_with("HTTP/1.1 4"));
  RawClient client(endpoint);
  client.send("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 403"));
}

TEST_F(ServerTest, AnswersExpect100Continue) {
  start({});
  RawClient client(path);
  client.send(
      "POST /a HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: "
      "3\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 100 Continue\r\n\r\n"));
  client.send("xyz");
  EXPECT_NE(client.read_until("uid").find("POST /a xyz"), std::string::npos);
}

}  // namespace
}  // namespace teal
